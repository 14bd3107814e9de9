"""Looking after code that a reader wrote: what it does wrong is reported with file and line.

A coroutine that never yields would hang everything.  Signals work neither on Windows nor in a browser, so
the code is traced line by line, and only while a variant that is not ours is running.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import FrameType, GeneratorType
from typing import Any, NamedTuple

from sim.errors import NotAnOperation

#: Lines that may pass between two yields.
MAX_LINES = 200_000

_ROOT = Path(__file__).resolve().parent.parent


class Place(NamedTuple):
    """A line of somebody's code."""

    function: str
    file: str
    line: int


@cache
def shorten(file: str) -> str:
    """A file as it is called in the project: ``sim/kernel/rmap.py``; others by their last part."""
    path = Path(file)
    if path.is_relative_to(_ROOT):
        return path.relative_to(_ROOT).as_posix()
    return "notebook cell" if "ipykernel" in file else path.name


def place_of(error: BaseException) -> Place:
    """Where *error* was raised."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return Place("?", "?", 0)
    code = trace.tb_frame.f_code
    return Place(code.co_name, shorten(code.co_filename), trace.tb_lineno)


def start(body: Callable[..., Any], *args: Any) -> GeneratorType[Any, Any, Any]:
    """Call *body*, which must be a generator function.

    Raises:
        NotAnOperation: if it yields nothing, naming file and line.
    """
    made = body(*args)
    if isinstance(made, GeneratorType):
        return made
    function = getattr(body, "func", body)
    code = function.__code__
    place = Place(function.__name__, shorten(code.co_filename), code.co_firstlineno)
    raise NotAnOperation(place, "has no yield, so it is no kernel coroutine; let it yield its operations")


def watched(advance: Callable[..., Any]) -> Callable[..., Any]:
    """*advance*, stopped after :data:`MAX_LINES` lines without an operation.

    Raises (when called):
        NotAnOperation: naming the line that runs for ever.
    """

    def watch(*args: Any) -> Any:
        lines = 0

        def line(frame: FrameType, event: str, _: Any) -> Any:
            nonlocal lines
            lines += 1
            if lines > MAX_LINES:
                place = Place(frame.f_code.co_name, shorten(frame.f_code.co_filename), frame.f_lineno)
                raise NotAnOperation(place, f"runs {MAX_LINES} lines without a yield; it never gives the CPU away")
            return line

        before = sys.gettrace()
        sys.settrace(line)
        try:
            return advance(*args)
        finally:
            sys.settrace(before)

    return watch
