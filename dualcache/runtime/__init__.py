"""The shared parts of one cache, wired once: backends, observers, functions, defaults."""
