"""Decisions: flows, state machines, plain functions. No I/O, clock, randomness, environment."""
