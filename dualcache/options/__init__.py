"""Options: their checks, units and defaults. Pure functions."""
