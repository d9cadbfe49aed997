"""Redis and Valkey: connections, commands and replies, pushes. Only here redis-py is imported."""
