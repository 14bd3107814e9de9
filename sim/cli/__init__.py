"""``python -m sim``: the model from a terminal, for people and for scripts.

Every command takes ``--json`` and then prints one JSON object and nothing else.  Bad input is one line on
stderr and exit code 2.  ``--pages 4`` may be written ``pages=4``, and ``--variant mutex_v37`` after the world
``mutex_v37``.

One file a group of commands, each with a function ``add`` that is given a :class:`sim.cli.base.Commands`; a new file
is found by itself:

    base.py        how commands are found, what one is told and what it answers; progress on a terminal
    door.py        rmapwalk: these commands, those of vizlib and those of the course
    aids.py        what check says beside its verdict
    about.py       worlds, variants, costs, where
    checking.py    check, luck, replay
    exchanging.py  promela, spin
    locking.py     lockset
    making.py      new-variant
    measuring.py   bench
    recording.py   recorded, compare
    running.py     run, profile, lockstat, usage, convergence
    staircases.py  staircase, scaling, batches
    sweeping.py    sweep, splits
    tables.py      matrix
    tabular.py     --csv and --arrow: what a command found, as a table in a file
"""

from __future__ import annotations

from collections.abc import Sequence

from sim.cli import base

#: What these commands are, as a heading.
TITLE = "The model"
#: What ``--help`` says first.
_ABOUT = "\n\n".join((__doc__ or "").split("\n\n")[:2])


def parser(prog: str = "python -m sim") -> base.Parser:
    """The command line, with the commands of every file here."""
    return base.whole_parser(prog, _ABOUT, __name__, __path__)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code."""
    return base.answer(parser(), argv)
