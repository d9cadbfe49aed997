"""Bytes to values and back. Never a server, a clock or a decision about what is served."""
