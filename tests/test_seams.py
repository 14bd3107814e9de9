"""Seams between the engines: one schedule, three engines, the same events and the same memory.

The stepper follows a schedule that hypothesis draws; the timed engine charges for it; the checker's tables, learned on
other ways or by a search of the whole world, replay it.  And the timed engine's own schedule, under either policy, is
followed by the other two.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim import variants
from sim.engines import counts, timed
from sim.engines.charge import charge
from sim.engines.checker import Search, Tables, check
from sim.engines.stepper import Stepper, replay
from sim.engines.timed_run import TimedRun
from sim.machine import Event
from sim.ops import Choose
from sim.schedule import Turn, parse_run_name
from sim.trace import memory_hash
from sim.worlds import WORLDS

EACH_WORLD = pytest.mark.parametrize("world", WORLDS)
#: Cells that are searched as a whole: each world under one of the variants, in turn, and one under all.
SEARCHED = [
    *((world, variants.names()[number % len(variants.names())]) for number, world in enumerate(WORLDS)),
    *(("stack_grows", it) for it in variants.names()),
]
STEADY = settings(derandomize=True, deadline=None, max_examples=3)

#: A way through a run: who goes next (a number into those who can), for how many steps, and what it chooses.
WAYS = st.lists(st.tuples(st.integers(0, 5), st.integers(1, 60), st.integers(0, 3)), max_size=25)


def walk(world: str, variant: str, way: list[tuple[int, int, int]], whole: bool) -> Stepper:
    """A stepped run along *way*; if it is to be *whole*, then on to its end."""
    run = Stepper(world, variant, **WORLDS[world].small())
    for number, steps, choice in way:
        ready = run.runnable
        if not ready:
            break
        task = ready[number % len(ready)]
        while steps and run.machine.enabled(task):
            op = run.machine.pending(task)
            run.step(task, choice % op.options if isinstance(op, Choose) else 0)
            steps -= 1
    return run.finish() if whole else run


def told(events: Iterable[Event]) -> list[tuple[Any, ...]]:
    """All that events say; a violation by its words, since an exception equals only itself."""
    return [
        (e.step, e.task, e.op, e.choice, e.answer, e.outcome, e.changes, e.points, str(e.violation)) for e in events
    ]


def final(world: str, params: dict[str, int], events: Iterable[Event]) -> str:
    """The fingerprint of the memory that *events* leave."""
    memory = dict(WORLDS[world].setup(params).memory)
    for event in events:
        memory.update((change.field, change.new) for change in event.changes)
    return memory_hash(memory)


@lru_cache(maxsize=len(variants.names()))  # a world's; those of all worlds would fill the memory
def learning(world: str, variant: str) -> Tables:
    """Tables that learn as they are asked."""
    return Tables(WORLDS[world].setup(WORLDS[world].small()), variants.find(variant))


def searched(world: str, variant: str) -> Search:
    """A search of the whole world, beyond the first violation, and what its tables have learned."""
    search = Search(Tables(WORLDS[world].setup(WORLDS[world].small()), variants.find(variant)))
    bound = search.run(200_000, all_kinds=True)
    assert search.complete or "200,000" in bound  # beyond the first violation a world may be larger
    return search


def by_tables(tables: Tables, turns: list[Turn]) -> tuple[list[tuple[Any, ...]], str]:
    """The events of a schedule by the checker's tables alone, and the fingerprint of the memory after it."""
    events, state = tables.replay(turns)
    return told(events), memory_hash(tables.memory(state))


@EACH_WORLD
@STEADY
@given(way=WAYS, whole=st.booleans())
def test_a_drawn_schedule_is_the_same_run_in_every_engine(
    world: str, way: list[tuple[int, int, int]], whole: bool
) -> None:
    """Under every variant: stepped, charged by the clock, and looked up in the checker's tables.

    Variants under which the run is one and the same, step for step and stack for stack, have run the same code: the
    other engines are asked once.
    """
    asked = set[str]()
    for variant in variants.names():
        run = walk(world, variant, way, whole)
        same = repr((told(run.events), run.trace.stacks))
        if same not in asked:
            asked.add(same)
            compare_a_way(world, variant, run)


def compare_a_way(world: str, variant: str, run: Stepper) -> None:
    """The same events and the same memory by all three."""
    stepped = told(run.events), memory_hash(run.machine.memory)
    turns = run.trace.turns
    charged, times, end = charge(world, variant, turns, **run.setup.params)
    assert (told(charged), final(world, run.setup.params, charged)) == stepped
    assert times == sorted(times)
    assert not times or end >= times[-1]
    assert by_tables(learning(world, variant), turns) == stepped
    assert replay(run.run_name).final_memory_hash == stepped[1]


@pytest.mark.parametrize("policy", [it for it in timed.POLICIES if it != "steal"])  # as spin, or as sleep, does it
@EACH_WORLD  # the outer loop, so that each world's tables are learned once
@settings(derandomize=True, deadline=None, max_examples=2)
@given(seed=st.integers(0, 10_000))
def test_a_timed_run_is_the_same_run_in_the_other_engines(world: str, policy: str, seed: int) -> None:
    """What the clock decided, under every variant: read from the run's name, it is the same run.

    As above: where the clock has made one and the same run, the other engines are asked once.
    """
    asked = set[str]()
    for variant in variants.names():
        run = timed.run(world, variant, policy=policy, seed=seed, record=True, params=WORLDS[world].small())
        same = repr((told(run.events), run.counts))
        if same not in asked:
            asked.add(same)
            compare_a_timed_run(world, variant, run)


def compare_a_timed_run(world: str, variant: str, run: TimedRun) -> None:
    """The same events, the same memory, the same counts."""
    ran = told(run.events), final(world, run.params, run.events)
    stepped = replay(run.run_name)
    assert str(stepped.violation) == str(run.violation)
    assert (told(stepped.events), stepped.final_memory_hash) == ran
    assert by_tables(learning(world, variant), stepped.turns) == ran
    counted = counts.count(stepped.events)
    for name in itertools.chain.from_iterable(Stepper(world, variant, **WORLDS[world].small()).machine.starts):
        if name in counts.POINTS:  # passed before the first step, so that no event has it
            counted[counts.POINTS[name]] += 1
    assert counted.items() <= run.counts.items()


def test_the_counterexample_is_the_same_run_in_every_engine() -> None:
    """Also a step that goes wrong is the same: its changes, and the memory in which the run ends."""
    world, variant = "stack_grows", "rfc_remap_unlocked"
    run = replay(check(world, variant).violations[0].run_name)
    assert run.violation is not None
    stepped = told(run.events), run.final_memory_hash
    charged, _, _ = charge(world, variant, run.turns, **run.params)
    assert (told(charged), final(world, run.params, charged)) == stepped
    assert by_tables(learning(world, variant), run.turns) == stepped


@pytest.mark.parametrize(("world", "variant"), sorted(set(SEARCHED)))
def test_the_checker_has_met_every_state_of_a_random_run(world: str, variant: str) -> None:
    """Each state that a run passes is among those that a search met which went through all of them.

    And what the search has learned, whatever its ways, tells the same events and the same memory.
    """
    search = searched(world, variant)
    for seed in range(10):
        run = Stepper(world, variant, **WORLDS[world].small()).finish(seed)
        turns = run.trace.turns
        assert by_tables(search.tables, turns) == (told(run.events), memory_hash(run.machine.memory))
        state = search.tables.start
        for turn in turns:
            assert state in search.seen or not search.complete
            (outcome,) = (it for it in search.tables.outcomes(state, turn.task) if it.choice == turn.choice)
            state += outcome.delta
        assert run.machine.violation is not None or state in search.seen or not search.complete


def test_a_schedule_survives_its_name() -> None:
    """The name of a drawn run holds the world, the parameters that are not the default, the variant, and every turn."""
    run = walk("two_migrators", "rwsem_v38", [(0, 30, 0), (1, 9, 0)], whole=True)
    name = parse_run_name(run.run_name)
    assert (name.world.name, name.params, name.variant) == ("two_migrators", run.setup.params, "rwsem_v38")
    assert name.turns == run.trace.turns
