"""Pushes of a server: the listener, its connection, and what it hears."""
