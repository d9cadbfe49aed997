"""Pushes of a server: the listener, its connection and its transports."""
