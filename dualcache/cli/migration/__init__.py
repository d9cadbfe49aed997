"""Finds uses of other caches in a code base, by their syntax trees. Nothing is imported or run."""
