"""``python -m course``: see :mod:`course.cli`."""

from __future__ import annotations

import sys

from course.cli import main

__all__ = ["main"]

if __name__ == "__main__":
    sys.exit(main())
