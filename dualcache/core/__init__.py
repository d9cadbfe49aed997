"""Values that every other part agrees on. No I/O, no clock, no randomness, no decisions."""
