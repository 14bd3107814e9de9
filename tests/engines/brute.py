"""A tiny language of concurrent programs, twice: as coroutines for the checker, and as values that can be enumerated.

The enumeration shares no code with the checker, nor with the machine: a state is the memory and, for each task, the
statements that are left and its variables.  Statements are tuples:

    read x f | write f e | add x f | xchg x f e | unless x f | acquire | try x | release | choose x | until f n
    assign x e | if x (...) (...) | while f n (...) | return

``f`` is a field of the memory, 0 or 1; ``x`` a variable, 0 or 1; ``e`` a number, or a variable as ``"x"`` or ``"y"``.
At its end a task is wrong if x is larger than y, and if it holds the lock.
"""

from __future__ import annotations

import itertools
import linecache
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sim import ops
from sim.setup import Builder
from sim.structs import ANON_VMA_MUTEX, Struct, declare
from sim.worlds import World

Program = tuple[Any, ...]
_STEPS = ("read", "write", "add", "xchg", "unless", "acquire", "try", "release", "choose", "until", "bug")


class Place(Struct):
    """What the programs share."""

    a = declare(0, guard="atomic")
    b = declare(0, guard="atomic")
    lock = declare(None, guard="itself", lock=ANON_VMA_MUTEX)


FIELDS = (Place("brute").a, Place("brute").b)
LOCK = Place("brute").lock


# --- programs made at random -----------------------------------------------------------------------------


def programs(seed: int) -> tuple[Program, ...]:
    """Two or three programs, always the same for a seed."""
    dice = random.Random(seed)
    return tuple(_block(dice, 2, 4) for _ in range(dice.choice((2, 2, 3))))


def _block(dice: random.Random, depth: int, size: int) -> Program:
    return tuple(_statement(dice, depth) for _ in range(dice.randint(1, size)))


def _statement(dice: random.Random, depth: int) -> Any:
    x, place, value = dice.randrange(2), dice.randrange(2), dice.choice((0, 1, "x", "y"))
    kinds = ["read"] * 3 + ["write"] * 2 + ["add", "xchg", "unless", "choose", "until", "assign", "assign", "return"]
    kinds += ["if", "if", "while", "locked", "locked", "tried", "careless"] if depth else []
    match dice.choice(kinds):
        case "read":
            return "read", x, place
        case "write":
            return "write", place, value
        case "add":
            return "add", x, place
        case "xchg":
            return "xchg", x, place, value
        case "unless":
            return "unless", x, place
        case "choose":
            return "choose", x
        case "until":
            return "until", place, dice.randrange(2)
        case "assign":
            return "assign", x, value
        case "return":
            return "if", x, (("return",),), ()
        case "if":
            return "if", x, _block(dice, depth - 1, 2), _block(dice, depth - 1, 2) if dice.random() < 0.5 else ()
        case "while":
            return "while", place, dice.randrange(2), _block(dice, depth - 1, 2)
        case "locked":
            return "all", ("acquire",), *_block(dice, depth - 1, 2), ("release",)
        case "careless":
            return "all", ("try", x), *_block(dice, depth - 1, 2), ("release",)
        case _:
            return "all", ("try", x), ("if", x, (*_block(dice, depth - 1, 2), ("release",)), ())


# --- as values -------------------------------------------------------------------------------------------


class Task(NamedTuple):
    """What is left of a program, and its variables; nothing is left when it has finished."""

    rest: Program
    x: int = 0
    y: int = 0


class State(NamedTuple):
    """The fields, the number of the lock's holder or None, and the tasks."""

    fields: tuple[int, int]
    holder: int | None
    tasks: tuple[Task, ...]

    @property
    def finished(self) -> bool:
        return not any(it.rest for it in self.tasks)


class Move(NamedTuple):
    """A step: by which task, with which choice, and the state after it or the kind of violation."""

    task: int
    choice: int | None
    after: State | str


def start(its: tuple[Program, ...]) -> State:
    return State((0, 0), None, tuple(_settle(Task((*it, ("end",)))) for it in its))


def moves(state: State) -> Iterator[Move]:
    """Every step that can be made."""
    for number, task in enumerate(state.tasks):
        if task.rest and _enabled(state, task):
            for choice in (0, 1) if task.rest[0][0] == "choose" else (None,):
                yield Move(number, choice, _step(state, number, choice))


def _enabled(state: State, task: Task) -> bool:
    match task.rest[0]:
        case ("acquire",):
            return state.holder is None
        case ("until", place, value):
            return state.fields[place] == value
    return True


def _step(state: State, number: int, choice: int | None) -> State | str:
    task, fields, holder = state.tasks[number], list(state.fields), state.holder
    statement, rest = task.rest[0], task.rest[1:]
    x, got = None, 0
    match statement:
        case ("read", x, place):
            got = fields[place]
        case ("write", place, value):
            fields[place] = _value(task, value)
        case ("add", x, place):
            fields[place] = got = fields[place] + 1
        case ("xchg", x, place, value):
            got, fields[place] = fields[place], _value(task, value)
        case ("unless", x, place):
            got = fields[place] != 1
            fields[place] += got
        case ("acquire",):
            holder = number
        case ("try", x):
            got = holder is None
            holder = number if holder is None else holder
        case ("release",):
            if holder != number:
                return "release without hold"
            holder = None
        case ("choose", x):
            got = choice or 0
        case ("bug",):
            return "kernel bug"
        case ("test", place, value, body):
            rest = (*body, statement, *rest) if fields[place] != value else rest
    task = Task(rest, task.x, task.y)
    if x is not None:
        task = task._replace(**{"xy"[x]: int(got)})
    task = _settle(task)
    if not task.rest:
        if holder == number:
            return "held at exit"
        task = Task(())
    tasks = (*state.tasks[:number], task, *state.tasks[number + 1 :])
    return State((fields[0], fields[1]), holder, tasks)


def _value(task: Task, value: int | str) -> int:
    return getattr(task, value) if isinstance(value, str) else value


def _settle(task: Task) -> Task:
    """Up to the next step: what touches only variables takes no time."""
    while task.rest:
        statement, rest = task.rest[0], task.rest[1:]
        match statement:
            case ("assign", x, value):
                task = Task(rest, task.x, task.y)._replace(**{"xy"[x]: _value(task, value)})
            case ("if", x, body, orelse):
                task = task._replace(rest=(*(body if task[1 + x] else orelse), *rest))
            case ("all", *body):
                task = task._replace(rest=(*body, *rest))
            case ("while", place, value, body):
                task = task._replace(rest=(("test", place, value, body), *rest))
            case ("return",):
                task = task._replace(rest=())
            case ("end",):
                task = task._replace(rest=(("bug",),) if task.x > task.y else ())
            case _:
                return task
    return task


# --- enumeration -----------------------------------------------------------------------------------------


@dataclass
class Plain:
    """What the enumeration finds: by kind of violation the fewest steps; the memories; the number of states."""

    steps: dict[str, int] = field(default_factory=dict)
    memories: set[Any] = field(default_factory=set)
    states: int = 0


def enumerate_all(its: tuple[Program, ...], most: int) -> Plain | None:
    """All states, breadth first; None if there are more than *most*."""
    found = Plain()
    depth_of = {start(its): 0}
    edges: dict[State, list[State]] = {}
    for state in (todo := list(depth_of)):
        depth = depth_of[state]
        steps = list(moves(state))
        edges[state] = [it.after for it in steps if isinstance(it.after, State)]
        for it in steps:
            if isinstance(it.after, str):
                found.steps[it.after] = min(found.steps.get(it.after, depth + 1), depth + 1)
            elif it.after not in depth_of:
                depth_of[it.after] = depth + 1
                todo.append(it.after)
        if not steps and not state.finished:
            found.steps.setdefault("deadlock", depth)
        if len(depth_of) > most:
            return None
    if not found.steps:
        ends = {it for it in depth_of if it.finished}
        doomed = [depth for it, depth in depth_of.items() if not _reaches(edges, it, ends)]
        if doomed:
            found.steps["livelock"] = min(doomed)
    found.memories = {(it.fields, it.holder) for it in depth_of}
    found.states = len(depth_of)
    return found


def _reaches(edges: dict[State, list[State]], state: State, ends: set[State]) -> bool:
    reached = {state}
    for it in (todo := [state]):
        if it in ends:
            return True
        new = [after for after in edges[it] if after not in reached]
        reached.update(new)
        todo += new
    return False


# --- as coroutines ---------------------------------------------------------------------------------------

_files = itertools.count()


def world_of(its: tuple[Program, ...]) -> World:
    """The programs as a world, whose source can be had."""
    text = ""
    for number, it in enumerate(its):
        body = "\n".join(f"    {line}" for line in _lines(it))
        end = "    if x > y:\n        yield ops.Bug('kernel bug', 'x is larger')\n"
        text += f"def t{number}(k):\n    x, y = 0, 0\n{body}\n{end}    yield from ()\n\n"
    name = f"<brute {next(_files)}>"
    linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
    names: dict[str, Any] = {"ops": ops, "F": FIELDS, "lock": LOCK}
    exec(compile(text, name, "exec", dont_inherit=True), names)

    def build() -> Builder:
        b = Builder()
        mm, cpu = b.mm(), b.cpu(0, 0)
        for number in range(len(its)):
            b.task(f"t{number}", cpu, mm, names[f"t{number}"], "")
        return b

    return World("brute", "made at random", "", {}, {}, build)


def _lines(block: Program) -> Iterator[str]:
    for statement in block or (("pass",),):
        yield from _source(statement)


def _source(statement: Any) -> Iterator[str]:
    x = "xy"[statement[1]] if len(statement) > 1 and statement[1] in (0, 1) else ""
    match statement:
        case ("read", _, place):
            yield f"{x} = yield F[{place}]"
        case ("write", place, value):
            yield f"yield F[{place}].set({value})"
        case ("add", _, place):
            yield f"{x} = yield F[{place}].add(1)"
        case ("xchg", _, place, value):
            yield f"{x} = yield F[{place}].xchg({value})"
        case ("unless", _, place):
            yield f"{x} = yield F[{place}].add_unless(1, 1)"
            yield f"{x} = int({x})"
        case ("acquire",):
            yield "yield ops.Acquire(lock)"
        case ("try", _):
            yield f"{x} = yield ops.TryAcquire(lock)"
            yield f"{x} = int({x})"
        case ("release",):
            yield "yield ops.Release(lock)"
        case ("choose", _):
            yield f"{x} = yield ops.Choose(2, 'which')"
        case ("until", place, value):
            yield f"yield ops.Until(F[{place}], {value})"
        case ("assign", _, value):
            yield f"{x} = {value}"
        case ("if", _, body, orelse):
            yield f"if {x}:"
            yield from (f"    {line}" for line in _lines(body))
            yield "else:"
            yield from (f"    {line}" for line in _lines(orelse))
        case ("while", place, value, body):
            yield f"while (yield F[{place}]) != {value}:"
            yield from (f"    {line}" for line in _lines(body))
        case ("all", *body):
            yield from _lines(tuple(body))
        case (word,):
            yield word
