"""Decorated functions: compiled wrappers, handles, methods."""
