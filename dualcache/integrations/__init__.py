"""Integrations with frameworks, each an extra; they import the public root only."""
