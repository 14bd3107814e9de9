"""What of Linux 6.12 differs from 6.3 and matters for moving pages.

Taken from the sources under the tag v6.12, of which no tree is at hand, and held against what a 6.12.117 kernel was
seen to do (``course/recorded``).  Left out: per-VMA locks, which a fault takes instead of mmap_sem since 6.4; and
that a page is copied before its references are frozen (6.11), which comes to the same for anonymous pages.
"""
