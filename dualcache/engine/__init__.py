"""Decisions: flows, state machines and plain functions. No I/O, clock, randomness or environment."""
