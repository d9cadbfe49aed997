"""Perform ops: memory, sync and async. Decides nothing."""
