"""Where a line of the kernel is here: the table from kernel file:line to our function, read off the docstrings."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

from sim.errors import UnknownName, UserError

_ROOT = Path(__file__).parent
_CITED = re.compile(r"\b((?:[\w.-]+/)+[\w.-]+\.[chS]):(\d+) \((v3\.[78])\)")


class Citation(NamedTuple):
    """A kernel function and ours.

    Attributes:
        file, line, version: where the kernel defines it.
        function, ours: our function, and the file it stands in.
    """

    file: str
    line: int
    version: str
    function: str
    ours: str


@cache
def citations() -> tuple[Citation, ...]:
    """Every kernel function that has a counterpart here, in the kernel's order."""
    found = []
    for path in sorted([*_ROOT.glob("kernel/**/*.py"), *_ROOT.glob("variants/*.py"), _ROOT / "sync.py"]):
        for node in ast.parse(path.read_text("utf-8")).body:
            if isinstance(node, ast.FunctionDef) and (at := _CITED.search(ast.get_docstring(node) or "")):
                ours = path.relative_to(_ROOT.parent).as_posix()
                found.append(Citation(at[1], int(at[2]), at[3], node.name, ours))
    return tuple(sorted(found))


def where(place: str) -> tuple[Citation, ...]:
    """Our functions for a kernel place: ``mm/rmap.c:1475``, ``rmap.c:1475`` or ``rmap.c``.

    With a line: in each version the last function that begins at or before it.

    Raises:
        UserError: if nothing of that file is here; it names the nearest that are.
    """
    file, _, number = place.partition(":")
    if number and not number.isdigit():
        raise UserError(f"'{place}' is no place in the kernel: write file:line, such as mm/rmap.c:1470")
    its = [it for it in citations() if it.file == file or it.file.endswith("/" + file)]
    if not its:
        raise UnknownName("file of the kernel", file, _files())
    if not number:
        return tuple(its)
    before = [it for it in its if it.line <= int(number)]
    last = {(it.file, it.version): it.line for it in before}
    return tuple(it for it in before if it.line == last[it.file, it.version])


def _files() -> list[str]:
    return sorted({it.file for it in citations()})


def markdown(version: str = "v3.7") -> str:
    """The table for the README: every function of *version*."""
    rows = [f"| `{it.file}:{it.line}` | `{it.function}` | `{it.ours}` |" for it in citations() if it.version == version]
    return "\n".join([f"| Linux {version[1:]} | function | here |", "| --- | --- | --- |", *rows])
