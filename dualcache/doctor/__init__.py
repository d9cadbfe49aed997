"""Checks of a cache and its server, for people and programs: one finding for each check.

It uses the public names of dualcache and the raw client. It reads only, apart from one key that it
writes and that expires after a second.
"""

from __future__ import annotations

from dualcache.doctor.examining import examine
from dualcache.doctor.findings import Finding, Level

__all__ = ["Finding", "Level", "examine"]
