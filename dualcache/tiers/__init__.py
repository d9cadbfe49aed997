"""The in-process front tier: a bounded LRU. Never a server or a decision about coherence."""
