"""The checker's tables: their masks lose nothing, and a run by them alone is refused where there is none.

That it is the run of the other engines, in every world under every variant, stands in tests/test_seams.py.
"""

from __future__ import annotations

from typing import Any

import pytest

from sim import variants, worlds
from sim.engines.checker import Search, check, fewest_preemptions
from sim.engines.checker_tables import Tables
from sim.engines.stepper import replay
from sim.errors import BadSchedule
from sim.invariants import Violation
from sim.machine import Change, enabled, execute
from sim.ops import Choose


@pytest.mark.parametrize(("world", "variant"), [("stack_grows", "rwsem_v38"), ("two_migrators", "mutex_v37")])
def test_learned_masks_lose_nothing_against_a_search_without_them(world, variant) -> None:
    """In every state, every step done anew by the interpreter on the whole memory leads where the tables say.

    So the states reached are those that a search without masks reaches: the first is the same, and each one's
    successors are.
    """
    it = worlds.find(world)
    tables = Tables(it.setup(it.small()), variants.find(variant))
    search = Search(tables)
    search.run(all_kinds=True)
    assert search.complete
    for state in search.seen:
        for number in range(len(tables.tasks)):
            assert _by_the_tables(tables, state, number) == _done_anew(tables, state, number)


def _by_the_tables(tables: Tables, state: int, number: int) -> list[tuple[Any, ...]]:
    return [
        (it.choice, it.answer, it.changes, it.violation and it.violation.sentence)
        for it in tables.outcomes(state, number)
    ]


def _done_anew(tables: Tables, state: int, number: int) -> list[tuple[Any, ...]]:
    """The same by the interpreter, on a plain memory: no masks, and nothing remembered."""
    op, me, memory = tables.op(state, number), tables.contexts[number], tables.memory(state)
    if op is None or not enabled(op, memory, me):
        return []
    found = []
    for choice in range(op.options) if isinstance(op, Choose) else (None,):
        changes: list[Change] = []
        answer, sentence = None, None
        try:
            answer = execute(op, dict(memory), me, changes, choice or 0)
        except Violation as it:
            sentence = it.sentence
        found.append((choice, answer, tuple(changes), sentence))
    return found


def test_the_tables_refuse_a_step_that_cannot_be() -> None:
    world = worlds.find("one_page")
    tables = Tables(world.setup(world.small()), variants.find("mutex_v37"))
    with pytest.raises(BadSchedule, match="step 2"):
        tables.replay([(0, None), (2, None)])  # nobody has sent an interrupt yet
    with pytest.raises(BadSchedule, match="step 1"):
        tables.replay([(7, None)])
    with pytest.raises(BadSchedule, match="step 1"):
        tables.replay([(0, 1)])  # there is nothing to decide


def test_a_counterexample_replays_in_the_stepper() -> None:
    """The hazard of the RFC: the stack grows under a remap walk without a lock."""
    (found,) = check("stack_grows", "rfc_remap_unlocked").violations
    assert found.kind == "stale migration entry"
    trace = replay(found.run_name)
    assert len(trace.events) == found.steps
    assert [it.outcome for it in trace.events].count("bug") == 1
    assert trace.violation is not None
    assert (trace.violation.kind, trace.violation.sentence) == (found.kind, found.sentence)


def test_fewest_preemptions_is_no_more_than_the_shortest_run_has() -> None:
    (shortest,) = check("stack_grows", "rfc_remap_unlocked").violations
    found = fewest_preemptions("stack_grows", "rfc_remap_unlocked", kind="stale migration entry")
    assert found is not None
    assert found.preemptions <= shortest.preemptions
    trace = replay(found.run_name)
    assert trace.violation is not None
    assert trace.violation.kind == "stale migration entry"
    assert fewest_preemptions("stack_grows", "rfc_remap_unlocked", kind="deadlock") is None
