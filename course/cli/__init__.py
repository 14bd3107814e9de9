"""``python -m course``: the course from a terminal.

    python -m course lab                      copies the lessons to a folder of yours and opens them
    python -m course slides 06                a lesson as slides, in one file
    python -m course site OUT                 the course as pages in which runs play, offline
    python -m course lite OUT                 the first lessons to be run in a browser alone
    python -m course two-nodes -o mine.txt    what a real kernel does, recorded in an emulated machine

One file a group of commands, as in :mod:`sim.cli`:

    emulating.py   two-nodes: a recording for lesson 12
    lab.py         lab: a copy of the course for its reader, opened in JupyterLab
    presenting.py  slides
    publishing.py  site, lite: the course for those who install nothing
"""

from __future__ import annotations

from collections.abc import Sequence

from sim.cli import base

#: What these commands are, as a heading.
TITLE = "The course"
#: What ``--help`` says first.
_ABOUT = (__doc__ or "").partition("\n\nOne file")[0]


def parser(prog: str = "python -m course") -> base.Parser:
    """The command line, with the commands of every file here."""
    return base.whole_parser(prog, _ABOUT.replace("python -m course", prog), __name__, __path__)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code."""
    return base.answer(parser(), argv)
