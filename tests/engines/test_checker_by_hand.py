"""The checker against the plainest search there is, on small programs made at random.

The plain search knows no packing, no tables and no live variables: a state is what each task was ever answered,
and the memory; every state is reached by running the machine from the start.
"""

from __future__ import annotations

import heapq
import itertools
import linecache
from dataclasses import dataclass, field
from typing import Any

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from sim import ops, variants
from sim.engines.checker import Search, fewest_preemptions
from sim.engines.checker_tables import Tables
from sim.engines.liveness import why_not
from sim.locks import FREE_RWSEM
from sim.machine import BLOCKED, Machine
from sim.setup import Builder, Setup
from sim.structs import ANON_VMA_MUTEX, MMAP_SEM, Page, Struct, declare
from sim.worlds import World

MUTEX = variants.find("mutex_v37")
LARGEST = 400


class Place(Struct):
    """What the programs share."""

    a = declare(0, guard="atomic")
    b = declare(0, guard="atomic")
    lock = declare(None, guard="itself", lock=ANON_VMA_MUTEX)
    sem = declare(FREE_RWSEM, guard="itself", lock=MMAP_SEM)


# --- the plain search ------------------------------------------------------------------------------------


@dataclass
class Plain:
    """What the plain search finds: by kind the fewest steps, by kind the fewest preemptions, the number of states."""

    steps: dict[str, int] = field(default_factory=dict)
    states: int = 0


def search_plainly(setup: Setup) -> Plain:
    found = Plain()
    start = Machine(setup, MUTEX)
    seen = {_key(start, {})}
    edges: dict[Any, list[Any]] = {}
    final, first_depth = set(), {}
    level: list[tuple[tuple[int, int], ...]] = [()]
    for depth in itertools.count():
        following = []
        for schedule in level:
            machine, answers = _run(setup, schedule)
            here = _key(machine, answers)
            first_depth[here] = depth
            if machine.done:
                final.add(here)
            wrong = machine.verdict()
            if wrong is not None:
                found.steps.setdefault(wrong.kind, depth)
            edges[here] = []
            for turn in _turns(machine):
                after, answers = _run(setup, (*schedule, turn))
                if after.violation is not None:
                    kind = after.violation.kind
                    found.steps[kind] = min(found.steps.get(kind, depth + 1), depth + 1)
                    continue
                key = _key(after, answers)
                edges[here].append(key)
                if key not in seen:
                    seen.add(key)
                    following.append((*schedule, turn))
        assume(len(seen) <= LARGEST)
        if not following:
            break
        level = following
    found.states = len(seen)
    if not found.steps and (doomed := [it for it in edges if not _reaches(edges, it, final)]):
        found.steps["livelock"] = min(first_depth[it] for it in doomed)
    return found


def _reaches(edges: dict[Any, list[Any]], start: Any, final: set[Any]) -> bool:
    reached, todo = {start}, [start]
    while todo:
        state = todo.pop()
        if state in final:
            return True
        new = [it for it in edges[state] if it not in reached]
        reached.update(new)
        todo += new
    return False


def _run(setup: Setup, schedule: tuple[tuple[int, int], ...]) -> tuple[Machine, dict[int, tuple[Any, ...]]]:
    machine = Machine(setup, MUTEX)
    answers: dict[int, tuple[Any, ...]] = {}
    for task, choice in schedule:
        event = machine.step(setup.tasks[task].task, choice)
        if event.answer is not BLOCKED:
            answers[task] = (*answers.get(task, ()), event.answer)
    return machine, answers


def _turns(machine: Machine) -> list[tuple[int, int]]:
    turns = []
    for number, info in enumerate(machine.tasks):
        if machine.enabled(info.task):
            op = machine.pending(info.task)
            turns += [(number, choice) for choice in range(op.options if isinstance(op, ops.Choose) else 1)]
    return turns


def _key(machine: Machine, answers: dict[int, tuple[Any, ...]]) -> Any:
    memory = {it: value for it, value in machine.memory.items() if value != it.default}
    # a task that has finished is a task that has finished, whatever it was answered
    live = [answers.get(i, ()) if op is not None else None for i, op in enumerate(machine.ops)]
    return frozenset(memory.items()), tuple(live)


# --- programs made at random -----------------------------------------------------------------------------

VARIABLES = ("x", "y")
_number = st.integers(0, 1).map(str)
_value = st.one_of(_number, st.sampled_from(VARIABLES))
_place = st.sampled_from(("P.a", "P.b"))
_variable = st.sampled_from(VARIABLES)


@st.composite
def simple(draw: Any) -> list[str]:
    kind = draw(st.integers(0, 12))
    x, place, value = draw(_variable), draw(_place), draw(_value)
    match kind:
        case 0 | 1 | 2:
            return [f"{x} = yield {place}"]
        case 3 | 4:
            return [f"yield {place}.set({value})"]
        case 5:
            return [f"{x} = yield {place}.xchg({value})"]
        case 6:
            return [f"{x} = {value}"]
        case 7:
            return [f"{x} = yield from helper(k, {place}, {value})"]
        case 8:
            return [f"{x} = yield ops.Choose(2, 'which')"]
        case 9:
            return [f"yield ops.Until({place}, {draw(_number)})"]
        case 10:
            return [f"page = yield ops.Alloc(Page, (('node', {value}),))", f"{x} = yield page.node", "yield P.a"]
        case 11:
            return [f"yield {place}.add_unless(1, 1)"]
        case _:
            return [f"if {x}:", "    return"]


@st.composite
def block(draw: Any, depth: int, size: int) -> list[str]:
    lines: list[str] = []
    for _ in range(draw(st.integers(1, size))):
        lines += draw(simple() if depth == 0 else st.one_of(simple(), compound(depth - 1)))
    return lines


@st.composite
def compound(draw: Any, depth: int) -> list[str]:
    body = ["    " + it for it in draw(block(depth, 2))]
    x, place = draw(_variable), draw(_place)
    match draw(st.integers(0, 6)):
        case 0:
            return [f"if {x}:", *body, "else:", *("    " + it for it in draw(block(depth, 2)))]
        case 1:
            return [f"if not (yield {place}):", *body]
        case 2:
            return ["yield ops.Acquire(P.lock)", *(it[4:] for it in body), "yield ops.Release(P.lock)"]
        case 3:
            mode = draw(st.sampled_from(("'shared'", "'exclusive'")))
            return [f"yield ops.Acquire(P.sem, {mode})", *(it[4:] for it in body), f"yield ops.Release(P.sem, {mode})"]
        case 4:
            n = f"n{depth}"
            return [f"{n} = 0", f"while {n} < 2:", *body, f"    {n} += 1", f"    if {x}:", "        break"]
        case 5:
            return [f"while (yield {place}) != {draw(_number)}:", *body]
        case _:
            return ["ok = yield ops.TryAcquire(P.lock)", "if ok:", *body, "    yield ops.Release(P.lock)"]


HELPER = """\
def helper(k, place, value):
    old = yield place
    if old == value:
        return value
    yield place.set(value)
    return old
"""
_files = itertools.count()


def compile_programs(programs: list[list[str]]) -> dict[str, Any]:
    """The programs as coroutine functions whose source can be had, as a notebook does it for its cells."""
    text = HELPER
    for number, lines in enumerate(programs):
        # it may end early, with a lock in its hands; and it is wrong if x is larger than y
        text += (
            f"\ndef t{number}(k):\n    x, y = 0, 0\n"
            + "".join(f"    {it}\n" for it in lines)
            + "    if x > y:\n        yield ops.Bug('kernel bug', 'x is larger')\n"
        )
    name = f"<programs {next(_files)}>"
    linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
    names: dict[str, Any] = {"ops": ops, "P": Place("place"), "Page": Page}
    exec(compile(text, name, "exec", dont_inherit=True), names)
    return names


def world_of(programs: list[list[str]]) -> World:
    names = compile_programs(programs)
    bodies = [names[f"t{number}"] for number in range(len(programs))]
    assert [why_not(it.__code__) for it in (*bodies, names["helper"])] == [None] * (len(bodies) + 1)

    def build() -> Builder:
        b = Builder()
        mm, cpu = b.mm(), b.cpu(0, 0)
        for number, body in enumerate(bodies):
            b.task(f"t{number}", cpu, mm, body, "")
        return b

    return World("programs", "made at random", "", {}, {}, build)


programs = st.lists(block(2, 4), min_size=2, max_size=3)
thorough = settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much]
)


@given(programs)
@thorough
def test_the_checker_finds_what_the_plain_search_finds(lines: list[list[str]]) -> None:
    """The same kinds of violation by equally short ways; with all answers kept, the very same number of states."""
    world = world_of(lines)
    plain = search_plainly(world.setup())
    for merge in (False, True):
        search = Search(Tables(world.setup(), MUTEX, merge=merge))
        search.run(all_kinds=True)
        assert {kind: len(turns) for kind, (_, turns) in search.found.items()} == plain.steps
        assert search.complete
        if merge:
            assert len(search.seen) <= plain.states
        else:
            assert len(search.seen) == plain.states


@given(programs)
@thorough
def test_every_schedule_found_ends_in_its_violation(lines: list[list[str]]) -> None:
    world = world_of(lines)
    search = Search(Tables(world.setup(), MUTEX))
    search.run(LARGEST, all_kinds=True)
    assume(search.complete)
    for kind, (violation, turns) in search.found.items():
        machine, _ = _run(world.setup(), tuple((task, choice or 0) for task, choice in turns))
        if kind != "livelock":
            wrong = machine.verdict()
            assert wrong is not None
            assert (wrong.kind, wrong.sentence) == (kind, violation.sentence)


@given(programs)
@settings(thorough, max_examples=25)
def test_fewest_preemptions_are_as_few_as_trying_all_orders_finds(lines: list[list[str]]) -> None:
    world = world_of(lines)
    search = Search(Tables(world.setup(), MUTEX))
    search.run(LARGEST, all_kinds=True)
    assume(search.complete and search.found.keys() - {"livelock"})
    for kind in search.found:
        found = fewest_preemptions(world, MUTEX, kind=kind)
        assert found is not None
        assert (found.preemptions, found.steps) == _least(world.setup(), kind)


def _least(setup: Setup, kind: str) -> tuple[int, int]:
    """The fewest (preemptions, steps) to *kind*, always going on from the cheapest schedule."""
    done = set()
    todo: list[tuple[int, int, tuple[tuple[int, int], ...]]] = [(0, 0, ())]
    while todo:
        preemptions, steps, schedule = heapq.heappop(todo)
        machine, answers = _run(setup, schedule)
        wrong = machine.verdict()
        if wrong is not None and wrong.kind == kind:
            return preemptions, steps
        last = schedule[-1][0] if schedule else -1
        key = _key(machine, answers), last
        if machine.violation is None and key not in done:
            done.add(key)
            assume(len(done) <= LARGEST)
            turns = _turns(machine)
            could_go_on = any(task == last for task, _ in turns)
            for it in turns:
                heapq.heappush(todo, (preemptions + (could_go_on and it[0] != last), steps + 1, (*schedule, it)))
    raise AssertionError(f"no schedule leads to a {kind}")
