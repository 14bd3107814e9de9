"""What every command shares: how it is found, its options, its answer, and progress on a terminal."""

from __future__ import annotations

import argparse
import json
import pkgutil
import sys
import time
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, NoReturn

from sim import trace
from sim.errors import BadParameter, CannotWrite, UnknownName, UserError
from sim.worlds import WORLDS, World


@dataclass
class Answer:
    """What a command says: as JSON, as text, and by its exit code."""

    data: Any
    text: str
    code: int = 0


class Parser(argparse.ArgumentParser):
    """A parser that raises instead of ending the program, and that reads an option without its dashes too.

    ``pages=4`` is ``--pages 4``, and where a command takes one world or run, a second word is its ``--variant``: as
    run names are written (``numa02?pages=4 mutex_v37``).

    Attributes:
        texts: its commands, each with what it is for.
    """

    texts: dict[str, str]

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As :mod:`argparse` does, after what was left out has been put in."""
        return super().parse_known_args(None if args is None else list(self._spelt(args)), namespace)

    def _spelt(self, args: Sequence[str]) -> Iterator[str]:
        options = self._option_string_actions
        takes_one = [it.nargs for it in self._get_positional_actions()] == [None]
        asks = takes_one and "--variant" in options and not any(it.startswith("--var") for it in args)
        words, value_follows, many_follow = 0, False, False
        for it in args:
            name, is_one, value = it.partition("=")
            if it.startswith("-"):
                option = next((options[long] for long in options if long.startswith(it)), None)
                value_follows = option is not None and option.nargs != 0
                many_follow = option is not None and option.nargs in ("+", "*")
            elif value_follows:
                value_follows = many_follow
            elif is_one and (spelt := f"--{name.replace('_', '-')}") in options:
                it = f"{spelt}={value}"
            elif is_one and name.isidentifier() and "--passes" in options:
                raise UnknownName("parameter", name, param_names())
            else:
                words += 1
                if takes_one and words > 1 and f"--{it}" in options:
                    raise BadParameter(f"'{it}' has no value: write {it}=4 or --{it} 4")
                it = f"--variant={it}" if asks and words == 2 else it
            yield it

    def error(self, message: str) -> NoReturn:
        """Refuse the command line.

        Raises:
            UserError: always.
        """
        raise UserError(message)


@dataclass
class Commands:
    """Where commands are added.

    Attributes:
        texts: those that were, each with what it is for.
    """

    parsers: argparse._SubParsersAction[Parser]
    texts: dict[str, str] = field(default_factory=dict)

    def add(
        self,
        name: str,
        function: Callable[[argparse.Namespace], Answer],
        text: str,
        aliases: Sequence[str] = (),
    ) -> argparse.ArgumentParser:
        """A command called *name*; add its options to what is returned."""
        self.texts[name] = text
        sub = self.parsers.add_parser(name, help=text, description=text, aliases=[*aliases])
        answers(sub, function)
        return sub


def answers(parser: argparse.ArgumentParser, function: Callable[[argparse.Namespace], Answer]) -> None:
    """Let *function* answer what *parser* has read."""
    parser.set_defaults(command=function)
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")


# --- a command line ----------------------------------------------------------------------------------------


def whole_parser(prog: str, about: str, package: str, path: Iterable[str]) -> Parser:
    """A command line with the commands of every file in the folder of *package*: each has a function ``add``."""
    whole = Parser(prog=prog, description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    whole.set_defaults(command=None, json=False)
    commands = Commands(whole.add_subparsers(metavar="COMMAND", parser_class=Parser))
    for it in sorted(pkgutil.iter_modules(path), key=lambda it: it.name):
        group = import_module(f"{package}.{it.name}")
        if hasattr(group, "add"):
            group.add(commands)
    whole.texts = commands.texts
    return whole


def answer(parser: Parser, argv: Sequence[str] | None = None) -> int:
    """Run the command that *argv* asks for; print its answer, or one line of what is wrong; return the exit code."""
    name = parser.prog.removeprefix("python -m ")
    try:
        options = parser.parse_args(sys.argv[1:] if argv is None else argv)
        if options.command is None:
            parser.print_help()
            return 0
        said: Answer = options.command(options)
    except UserError as error:
        print(f"{name}: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"{name}: stopped", file=sys.stderr)
        return 130
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="replace")  # a terminal without these letters shows a question mark
    try:
        print(json.dumps(said.data, indent=2) if options.json else said.text)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader, such as head, has seen enough
        sys.stderr.close()
    return said.code


def limit_of(options: argparse.Namespace) -> int:
    """``--limit``: so many states at most.

    Raises:
        BadParameter: if that is none.
    """
    limit: int = options.limit
    if limit < 1:
        raise BadParameter(f"--limit {limit} is not allowed: at least 1 state")
    return limit


# --- the parameters of a world ---------------------------------------------------------------------------


def param_names() -> list[str]:
    """Every parameter of a world: each has an option of its own, so that help texts name it."""
    return sorted({name for world in WORLDS.values() for name in world.params})


def add_params(parser: argparse.ArgumentParser, but: Container[str] = (), *, hidden: bool = False) -> None:
    """An option for each parameter of a world *but* some; the help lists them unless they are *hidden*."""
    for name in (it for it in param_names() if it not in but):
        its = [f"{it.name} {it.params[name].low}-{it.params[name].high}" for it in WORLDS.values() if name in it.params]
        parser.add_argument(
            f"--{name.replace('_', '-')}", type=int, metavar="N", help=argparse.SUPPRESS if hidden else "; ".join(its)
        )


def add_policy(parser: argparse.ArgumentParser) -> None:
    """The option that says who gets a lock that is released (:data:`sim.engines.timed.POLICIES`)."""
    names = "handoff (who has slept longest), steal (Linux 3.7), spin (the same, and a rwsem's writers spin: 3.16)"
    about = f"who gets a released lock: {names} or sleep (3.7 with lock debugging); default handoff"
    parser.add_argument("--policy", default="handoff", help=about)


def given_params(options: argparse.Namespace, world: World) -> dict[str, int]:
    """The parameters that were given.

    Raises:
        UnknownName, BadParameter: if *world* does not have one, or not with this value.
    """
    given = params_in(options)
    world.values(given)
    return given


def params_in(options: argparse.Namespace) -> dict[str, int]:
    """The parameters of worlds that were given."""
    return {name: value for name in param_names() if (value := getattr(options, name, None)) is not None}


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
        CannotWrite: if it cannot, with the reason.
    """
    try:
        writer(path)
    except OSError as error:
        raise CannotWrite(path, error) from error


def write_text(text: str, path: str) -> None:
    """Write *text* to *path*, all or nothing.

    Raises:
        CannotWrite: if it cannot be, with the reason.
    """
    write(lambda to: trace.write_whole(to, text), path)
