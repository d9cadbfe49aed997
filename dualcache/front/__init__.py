"""The front tier: copies of entries in this process, kept coherent with the server."""
