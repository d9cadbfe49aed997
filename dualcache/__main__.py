"""`python -m dualcache`."""

from __future__ import annotations

import sys

from dualcache.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
