"""Benchmarks against named peers: `python -m benchmarks [topic …]`; see docs/performance.md."""
