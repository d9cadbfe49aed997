"""The exit codes of the command line."""

from __future__ import annotations

from typing import Final

DONE: Final = 0
"""It is as asked."""
NOT_SO: Final = 1
"""An entry is not there, a check failed, a question was answered with no, a deletion is pending."""
WRONG_USAGE: Final = 2
"""The arguments or the configuration cannot be right; nothing was done."""
NO_ANSWER: Final = 3
"""The server does not answer, or refuses."""
INTERRUPTED: Final = 130
OUTPUT_CLOSED: Final = 141
"""What read the output, as `head`, has closed it."""
