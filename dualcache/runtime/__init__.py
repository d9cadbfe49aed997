"""What one cache shares, wired once: backends, observers, functions, defaults."""
