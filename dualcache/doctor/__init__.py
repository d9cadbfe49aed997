"""What is wrong with the server of a cache, for people and programs: one finding for each check.

Uses the public names of dualcache and the raw client. It reads, and writes nothing but a key of its
own that ends after a second.
"""

from __future__ import annotations

from dualcache.doctor.examining import examine
from dualcache.doctor.findings import Finding, Level

__all__ = ["Finding", "Level", "examine"]
