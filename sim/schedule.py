"""Schedules and run names: the short strings that say exactly what happened.

    run name  =  WORLD [ "?" param "=" value { "," param "=" value } ]  " "  VARIANT  [ " "  SCHEDULE ]
    SCHEDULE  =  { letter [ count ] [ "." choice ] }

``a3b2.1c`` lets task a make three steps, task b two, the second of which is a decision answered with 1, and
task c one.  Letters are a to z, A to Z, then (52), (53), ...  Parameters at their default are left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import NamedTuple

from sim.errors import BadParameter, BadSchedule
from sim.setup import letter
from sim.worlds import World, find

#: The longest schedule that is read: 32 threads that move 512 pages each make a fifth of that.
MOST_STEPS = 20_000_000

_TOKEN = re.compile(r"([a-zA-Z]|\(\d{1,6}\))(\d{0,8})(?:\.(\d{1,8}))?")


class Turn(NamedTuple):
    """One step of a schedule: which task, by its number, and the choice if it is a decision."""

    task: int
    choice: int | None = None


def number(code: str) -> int:
    """The number of the task that schedules call *code*."""
    if code.startswith("("):
        return int(code[1:-1])
    return ord(code) - ord("a") if code.islower() else ord(code) - ord("A") + 26


def parse_schedule(text: str) -> list[Turn]:
    """The turns of a schedule.

    Raises:
        BadSchedule: naming the place that cannot be read.
    """
    turns: list[Turn] = []
    at = 0
    while at < len(text):
        found = _TOKEN.match(text, at)
        if not found:
            raise BadSchedule(
                f"the schedule cannot be read at character {at + 1}, '{text[at : at + 8]}': "
                "write a task's letter, and behind it how many steps it makes, such as a3b2"
            )
        code, count, choice = found.groups()
        if count and not int(count):
            raise BadSchedule(f"the schedule says '{found[0]}' at character {at + 1}: a count starts at 1")
        if len(turns) + int(count or 1) > MOST_STEPS:
            raise BadSchedule(f"the schedule is longer than {MOST_STEPS:,} steps at character {at + 1}, '{found[0]}'")
        turns += [Turn(number(code))] * (int(count or 1) - 1)
        turns.append(Turn(number(code), None if choice is None else int(choice)))
        at = found.end()
    return turns


def format_schedule(turns: Iterable[tuple[int, int | None]]) -> str:
    """The shortest string that says *turns*."""
    parts = []
    for task, group in groupby(turns, key=lambda it: it[0]):
        run = 0
        for _, choice in group:
            run += 1
            if choice is not None:
                parts.append(f"{letter(task)}{run if run > 1 else ''}.{choice}")
                run = 0
        if run:
            parts.append(f"{letter(task)}{run if run > 1 else ''}")
    return "".join(parts)


class RunName(NamedTuple):
    """A parsed run name: the world's name, its parameters, the variant's name, the turns."""

    world: World
    params: dict[str, int]
    variant: str
    turns: list[Turn]


def parse_run_name(text: str) -> RunName:
    """Take a run name apart.

    Raises:
        UnknownName, BadParameter, BadSchedule: naming what cannot be.
    """
    parts = text.split()
    if not 2 <= len(parts) <= 3:
        raise BadSchedule(f"'{text}' is no run name: WORLD?param=value,... VARIANT SCHEDULE")
    name, _, query = parts[0].partition("?")
    world = find(name)
    params = world.values(parse_params(query)) if query else world.values({})
    return RunName(world, params, parts[1], parse_schedule(parts[2]) if len(parts) == 3 else [])


def parse_params(query: str) -> dict[str, int]:
    """``pages=4,spinners=2`` as a mapping.

    Raises:
        BadParameter: if a part is no ``name=number``.
    """
    params = {}
    for part in query.split(","):
        key, _, value = part.partition("=")
        if not re.fullmatch(r"-?\d{1,18}", value):
            raise BadParameter(f"'{part}' is no parameter: write name=number")
        params[key] = int(value)
    return params


def run_name(world: World, params: Mapping[str, int], variant: str, turns: Iterable[tuple[int, int | None]]) -> str:
    """The name of a run; parameters at their default are left out."""
    told = [f"{key}={value}" for key, value in params.items() if value != world.params[key].default]
    query = "?" + ",".join(told) if told else ""
    return f"{world.name}{query} {variant} {format_schedule(turns)}".rstrip()
