"""``python -m course.site OUT``."""

from __future__ import annotations

import sys

from course.site.command import main

if __name__ == "__main__":  # each lesson runs in a process of its own, which imports this file again
    sys.exit(main())
