"""The command line; it uses the public names of dualcache alone."""

from __future__ import annotations
