"""``python -m vizlib``: see :mod:`vizlib.cli`."""

from __future__ import annotations

import sys

from vizlib.cli import main

__all__ = ["main"]

if __name__ == "__main__":
    sys.exit(main())
