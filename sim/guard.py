"""Looking after code that a reader wrote: what it does wrong is reported with file and line.

A coroutine that never yields would hang everything.  Signals work neither on Windows nor in a browser, so
the code is traced line by line, and only while a variant that is not ours is running.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import FrameType, GeneratorType
from typing import Any, NamedTuple

from sim.errors import NotAnOperation

#: Lines that may pass between two yields.
MAX_LINES = 200_000

#: Steps that a task may make, one after the other, without changing anything.
MAX_IDLE = 20_000

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
    """The line of kernel code at which *error* came up: the innermost that is not the model's own machinery."""
    found = Place("?", "?", 0)
    for frame, line in traceback.walk_tb(error.__traceback__):
        place = Place(frame.f_code.co_name, shorten(frame.f_code.co_filename), line)
        if found.line == 0 or not (place.file.startswith("<frozen") or Path(place.file).parent == Path("sim")):
            found = place
    return found


def start(body: Callable[..., Any], *args: Any) -> GeneratorType[Any, Any, Any]:
    """Call *body*, which must be a generator function.

    Raises:
        NotAnOperation: if it yields nothing, or takes other arguments, naming file and line.
    """
    try:
        made = body(*args)
    except TypeError as error:
        raise NotAnOperation(_definition(body), f"cannot be called as it must be: {error}") from error
    if isinstance(made, GeneratorType):
        return made
    raise NotAnOperation(_definition(body), "has no yield, so it is no kernel coroutine; let it yield its operations")


def _definition(body: Callable[..., Any]) -> Place:
    function = getattr(body, "func", body)
    code = getattr(function, "__code__", None)
    name = getattr(function, "__name__", repr(function))
    return Place(name, "?", 0) if code is None else Place(name, shorten(code.co_filename), code.co_firstlineno)


def watched(advance: Callable[..., Any]) -> Callable[..., Any]:
    """*advance*, stopped after :data:`MAX_LINES` lines without an operation.

    Raises (when called):
        NotAnOperation: naming the line that runs for ever.
    """
    lines = 0

    def line(frame: FrameType, event: str, _: Any) -> Any:  # made once: one a call would be a cycle a call
        nonlocal lines
        lines += 1
        if lines > MAX_LINES:
            place = Place(frame.f_code.co_name, shorten(frame.f_code.co_filename), frame.f_lineno)
            raise NotAnOperation(place, f"runs {MAX_LINES} lines without a yield; it never gives the CPU away")
        return line

    def watch(*args: Any) -> Any:
        nonlocal lines
        lines = 0
        before = sys.gettrace()
        sys.settrace(line)
        try:
            return advance(*args)
        finally:
            sys.settrace(before)

    return watch


def idles(frame: Any) -> NotAnOperation:
    """What is raised when a task has made :data:`MAX_IDLE` steps that changed nothing; *frame* is its innermost."""
    return NotAnOperation(frame, f"goes round and round: {MAX_IDLE:,} steps that changed nothing; let it end")
