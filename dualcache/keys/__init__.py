"""Names of keys, tags and patterns. Pure functions."""
