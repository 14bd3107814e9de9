"""What of Linux 6.1 differs from 3.8 and matters for moving pages.

Taken from the sources under the tag v6.1, of which no tree is at hand, so that a docstring names the file and no line;
and held against what a 6.1.192 kernel was seen to do (``course/recorded``).  A folio is a page here.

Everything else is as in 3.8, under the old names: page faults other than those named here, fork, munmap, reclaim
(which puts off its flushes since 4.3, see :mod:`sim.kernel.batch`), swap, and copy on write.
"""
