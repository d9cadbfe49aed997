"""What is compared: dualcache, its peers, and the limits of Python, of Redis and of the wire."""
