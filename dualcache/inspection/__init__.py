"""What the command line and the dashboard both show: figures of servers, settings, patterns."""

from __future__ import annotations
