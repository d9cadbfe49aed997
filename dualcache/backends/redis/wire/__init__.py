"""Ops as commands, and replies as values. Pure functions."""
