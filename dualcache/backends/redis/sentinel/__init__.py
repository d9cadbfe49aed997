"""Sentinel: who the master is, asked through redis-py and watched."""
