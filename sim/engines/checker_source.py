"""From a running function back to its definition in the source: files, and cells of a notebook."""

from __future__ import annotations

import ast
import linecache
from collections.abc import Iterator, Mapping
from types import CodeType
from typing import Final, NamedTuple


class Unclear(Exception):
    """The source does not say what a function remembers; the message says why."""


class _File(NamedTuple):
    """One source file: its lines, and by (name, first line) its functions, as source and as compiled."""

    lines: list[str]
    defs: Mapping[tuple[str, int], ast.FunctionDef]
    codes: Mapping[tuple[str, int], CodeType]


_FILES: Final[dict[str, _File]] = {}


def definition(code: CodeType) -> ast.FunctionDef:
    """The definition that *code* was compiled from.

    Raises:
        Unclear: if there is no source, or compiling it gives something else: it has changed since it was imported.
    """
    lines = linecache.getlines(code.co_filename)
    file = _FILES.get(code.co_filename)
    if file is None or file.lines is not lines:
        file = _FILES[code.co_filename] = _read(code.co_filename, lines)
    key = code.co_name, code.co_firstlineno
    if key not in file.defs:
        raise Unclear(f"there is no source of {code.co_name}")
    if any(getattr(file.codes[key], it) != getattr(code, it) for it in _IDENTITY):
        raise Unclear(f"the source of {code.co_name} is not what is running")
    return file.defs[key]


_IDENTITY: Final = ("co_code", "co_names", "co_varnames", "co_cellvars", "co_freevars")


def _read(name: str, lines: list[str]) -> _File:
    try:
        tree = ast.parse("".join(lines))
        codes = _codes(compile(tree, name, "exec", dont_inherit=True))
    except (SyntaxError, ValueError):
        return _File(lines, {}, {})
    defs = {(it.name, min([it.lineno, *(dec.lineno for dec in it.decorator_list)])): it for it in _defs(tree)}
    return _File(lines, defs, {(it.co_name, it.co_firstlineno): it for it in codes})


def _defs(node: ast.AST) -> Iterator[ast.FunctionDef]:
    """The functions below *node*, however deep."""
    for name in ("body", "orelse", "finalbody", "handlers", "cases"):
        for it in getattr(node, name, ()):
            if isinstance(it, ast.FunctionDef):
                yield it
            yield from _defs(it)


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for it in code.co_consts:
        if isinstance(it, CodeType):
            yield from _codes(it)
