"""What every command shares: its options, its answer, and progress on a terminal."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

from sim import trace
from sim.errors import UserError
from sim.worlds import WORLDS, World


@dataclass
class Answer:
    """What a command says: as JSON, as text, and by its exit code."""

    data: Any
    text: str
    code: int = 0


class Parser(argparse.ArgumentParser):
    """A parser that raises instead of ending the program."""

    def error(self, message: str) -> NoReturn:
        """Refuse the command line.

        Raises:
            UserError: always.
        """
        raise UserError(message)


@dataclass
class Commands:
    """Where commands are added."""

    parsers: argparse._SubParsersAction[Parser]

    def add(self, name: str, function: Callable[[argparse.Namespace], Answer], text: str) -> argparse.ArgumentParser:
        """A command called *name*; add its options to what is returned."""
        sub = self.parsers.add_parser(name, help=text, description=text)
        sub.set_defaults(command=function)
        sub.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
        return sub


# --- the parameters of a world ---------------------------------------------------------------------------


def param_names() -> list[str]:
    """Every parameter of a world: each has an option of its own, so that help texts name it."""
    return sorted({name for world in WORLDS.values() for name in world.params})


def add_params(parser: argparse.ArgumentParser) -> None:
    """An option for each parameter of a world."""
    for name in param_names():
        its = [f"{it.name} {it.params[name].low}-{it.params[name].high}" for it in WORLDS.values() if name in it.params]
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, metavar="N", help="; ".join(its))


def given_params(options: argparse.Namespace, world: World) -> dict[str, int]:
    """The parameters that were given.

    Raises:
        UnknownName, BadParameter: if *world* does not have one, or not with this value.
    """
    given = {name: value for name in param_names() if (value := getattr(options, name)) is not None}
    world.values(given)
    return given


# --- progress, files -------------------------------------------------------------------------------------


#: Seconds between two lines of progress.
_OFTEN = 0.1
#: Characters in a bar.
_BAR = 30


def progress(options: argparse.Namespace, what: str) -> Callable[..., None] | None:
    """Writes progress to a terminal, one line that is written over; nothing to a file or pipe, or beside JSON."""
    if options.json or not sys.stderr.isatty():
        return None
    last = 0.0

    def tell(*numbers: Any) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last < _OFTEN:
            return
        last = now
        said = ", ".join(f"{it:,}" if isinstance(it, int) else str(it) for it in numbers)
        print(f"\r\033[K{what}: {said}", end="", file=sys.stderr, flush=True)

    return tell


def bar(options: argparse.Namespace, what: str) -> Callable[[int, int, int], None] | None:
    """As :func:`progress`, with a bar: told how many there are, how many are done, and how many states that were."""
    tell = progress(options, what)
    if tell is None:
        return None

    def draw(whole: int, part: int, states: int) -> None:
        full = _BAR * part // whole
        tell(f"[{'#' * full}{'.' * (_BAR - full)}] {part} of {whole}", f"{states:,} states")

    draw(1, 0, 0)
    return draw


def runs_bar(options: argparse.Namespace, what: str) -> Callable[[int, int], None] | None:
    """As :func:`bar`, for a sweep: told how many runs are done, and how many there are."""
    tell = progress(options, what)
    if tell is None:
        return None

    def draw(part: int, whole: int) -> None:
        full = _BAR * part // max(1, whole)
        tell(f"[{'#' * full}{'.' * (_BAR - full)}] {part} of {whole} runs")

    return draw


def done(told: Callable[..., None] | None) -> None:
    """Wipe the line of progress."""
    if told is not None:
        print("\r\033[K", end="", file=sys.stderr, flush=True)


def write(writer: Callable[[str], None], path: str) -> None:
    """Let *writer* write to *path*.

    Raises:
        UserError: if it cannot, with the reason.
    """
    try:
        writer(path)
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror}") from error


def write_text(text: str, path: str) -> None:
    """Write *text* to *path*, all or nothing.

    Raises:
        UserError: if it cannot be, with the reason.
    """
    write(lambda to: trace.write_whole(to, text), path)
