"""Redis Cluster: each node has its own connections, and ops are routed by the slot of their key."""
