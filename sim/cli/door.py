"""``rmapwalk``: one door to every command, of the model, of the pictures and of the course.

A package on top of this one adds its commands by an entry point of the group ``rmapwalk.commands``: a module with
``TITLE`` and ``parser(prog)``.  The entry points' names say their order; a name that two have is the first one's.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from importlib.metadata import entry_points, version
from typing import Any, Final

from sim.cli.base import Parser, answer
from sim.errors import UnknownName

PROG: Final = "rmapwalk"
_ABOUT: Final = """usage: rmapwalk COMMAND ...

How Linux moves a page, to be stepped, timed, checked and watched.  `rmapwalk lab` opens the course.
Every command takes --help and --json.  Bad input is one line on stderr and exit code 2."""
#: A column for the names of commands.
_WIDTH: Final = 14


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command, whoever has it; return its exit code."""
    args = list(sys.argv[1:] if argv is None else argv)
    if not args or args[0] in ("-h", "--help", "help"):
        print(_help())
        return 0
    if args[0] in ("-V", "--version"):
        print(f"rmapwalk {version('rmapwalk')}")
        return 0
    known: list[str] = []
    for _, parser in _houses():
        if args[0] in parser.texts:
            return answer(parser, args)
        known += parser.texts
    print(f"{PROG}: {UnknownName('command', args[0], known)}; rmapwalk --help lists all", file=sys.stderr)
    return 2


def _houses() -> Iterator[tuple[str, Parser]]:
    """The heading and the command line of each package, loaded when its turn comes: the course takes a second."""
    for it in sorted(entry_points(group="rmapwalk.commands"), key=lambda it: it.name):
        house: Any = it.load()
        yield house.TITLE, house.parser(PROG)


def _help() -> str:
    parts, seen = [_ABOUT], set[str]()
    for title, parser in _houses():
        names = {name: text for name, text in parser.texts.items() if name not in seen}
        seen |= names.keys()
        lines = (f"  {name:<{_WIDTH}}{text}".rstrip() for name, text in names.items())
        parts.append("\n".join([f"{title}:", *lines]))
    return "\n\n".join(parts)
