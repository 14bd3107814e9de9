"""``python -m vizlib``: a run as a page, a picture, or in the browser.

    python -m vizlib export "one_page mutex_v37 a3b2" -o run.html
    python -m vizlib export stack_grows --variant rfc_remap_unlocked --step 60 -o torn.svg
    python -m vizlib export stack_grows --hands -o stack.html
    python -m vizlib level stale_entry -o level.html
    python -m vizlib beside "two_migrators mutex_v37" "two_migrators rwsem_v38" -o both.html
    python -m vizlib beside "two_migrators mutex_v37" "two_migrators rwsem_v38" --clock -o clock.html
    python -m vizlib beside "stack_grows rfc_remap_unlocked" -o why.html
    python -m vizlib waits "batch_deadlock~B7 batch_2mb" -o ring.svg
    python -m vizlib family fork_during_migration --step 140
    python -m vizlib chart staircase -o staircase.svg
    python -m vizlib lanes numa02 --variant mutex_v37 --threads 4 --pages 8 -o lanes.html
    python -m vizlib recording course/recorded/trace-6.12.txt --section s4idle -o recorded.html
    python -m vizlib open move_pages

``--pages 4`` may be written ``pages=4``, and ``--variant mutex_v37`` after the world ``mutex_v37``.
A run is a run name, a world (then a run worth looking at is chosen), or the file of a saved trace.  Bad input is one
line on stderr and exit code 2; nothing is written then.

One file a group of commands, as in :mod:`sim.cli`:

    under_clock.py  chart, lanes
    pages.py        beside, level
    recorded.py     recording
    runs.py         export, open, text, waits, family
    writing.py      how each kind of file is written
"""

from __future__ import annotations

from collections.abc import Sequence

from sim.cli import base

#: What these commands are, as a heading.
TITLE = "Pictures and pages"
#: What ``--help`` says first.
_ABOUT = (__doc__ or "").partition("\n\nOne file")[0]


def parser(prog: str = "python -m vizlib") -> base.Parser:
    """The command line, with the commands of every file here."""
    return base.whole_parser(prog, _ABOUT.replace("python -m vizlib", prog), __name__, __path__)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code."""
    return base.answer(parser(), argv)
