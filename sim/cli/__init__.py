"""``python -m sim``: the model from a terminal, for people and for scripts.

Every command takes ``--json`` and then prints one JSON object and nothing else.  Bad input is one line on
stderr and exit code 2.

One file a group of commands, each with a function ``add`` that is given a :class:`sim.cli.base.Commands`; a new file
is found by itself:

    base.py        what a command is told and what it answers; progress on a terminal
    aids.py        what check says beside its verdict
    about.py       worlds, variants, where
    checking.py    check, luck, replay
    locking.py     lockset
    making.py      new-variant
    measuring.py   bench
    recording.py   recorded, compare
    running.py     run, profile, lockstat, usage, convergence
    staircases.py  staircase, batches
    sweeping.py    sweep, splits
    tables.py      matrix
"""

from __future__ import annotations

import json
import pkgutil
import sys
from argparse import RawDescriptionHelpFormatter
from collections.abc import Sequence
from importlib import import_module

from sim.cli.base import Answer, Commands, Parser
from sim.errors import UserError

#: What ``--help`` says first.
_ABOUT = "\n\n".join((__doc__ or "").split("\n\n")[:2])


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code."""
    args = list(sys.argv[1:] if argv is None else argv)
    try:
        options = parser().parse_args(args)
        if options.command is None:
            parser().print_help()
            return 0
        answer: Answer = options.command(options)
    except UserError as error:
        print(f"sim: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("sim: stopped", file=sys.stderr)
        return 130
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="replace")  # a terminal without these letters shows a question mark
    try:
        print(json.dumps(answer.data, indent=2) if options.json else answer.text)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader, such as head, has seen enough
        sys.stderr.close()
    return answer.code


def parser() -> Parser:
    """The parser of the whole command line, with the commands of every file here."""
    whole = Parser(prog="python -m sim", description=_ABOUT, formatter_class=RawDescriptionHelpFormatter)
    whole.set_defaults(command=None, json=False)
    commands = Commands(whole.add_subparsers(metavar="COMMAND", parser_class=Parser))
    for it in sorted(pkgutil.iter_modules(__path__), key=lambda it: it.name):
        group = import_module(f"{__name__}.{it.name}")
        if hasattr(group, "add"):
            group.add(commands)
    return whole
