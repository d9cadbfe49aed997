"""Observers, counters and the log."""
