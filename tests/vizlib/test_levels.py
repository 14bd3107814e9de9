"""Goal levels, and what the checker certifies of them."""

from __future__ import annotations

import pytest

from sim.engines.checker import check
from sim.engines.stepper import replay
from sim.errors import UnknownName
from vizlib.levels import LEVELS, find, level_film
from vizlib.moments import Run
from vizlib.stills import Stage, stills


@pytest.mark.parametrize("name", [it for it in LEVELS if it != "stale_write"])
def test_a_level_can_be_reached_with_its_par_and_the_run_says_so(name: str) -> None:
    """The certified run exists, has the certified steps and preemptions, and ends where it should."""
    level, goal = find(name), level_film(name)["goal"]
    trace = replay(goal["run"])
    assert len(trace.events) == goal["steps"]
    run = Run(trace)
    preempted = sum("preempt" in shot.flags for shot in stills(run, Stage(run)))
    assert preempted == goal["par"]
    if level.kind:
        assert trace.violation is not None
        assert trace.violation.kind == level.kind
    else:
        assert trace.violation is None


def test_no_order_without_a_preemption_leaves_an_entry_behind() -> None:
    """Fewest means fewest: who never interrupts anybody does not reach the goal."""
    assert level_film("stale_entry")["goal"]["par"] == 1


def test_both_have_the_page_only_if_somebody_is_interrupted() -> None:
    """A reference each, beside the mapping: one of them was stopped between looking up and taking."""
    goal = level_film("same_page")["goal"]
    assert goal["par"] == 1
    memory = replay(goal["run"]).memory_at(goal["steps"])
    found = {repr(it): value for it, value in memory.items()}
    assert (found["f0._count"], found.get("f0.PG_lru", True), found["f0._mapcount"]) == (3, True, 0)


def test_a_write_is_lost_without_interrupting_anybody() -> None:
    """The mover itself waits for the CPUs to answer, after it has copied; then the writer's turn is no preemption."""
    goal = level_film("lost_write")["goal"]
    assert goal["par"] == 0
    trace = replay(goal["run"])
    kinds = [type(event.op).__name__ for event in trace.events]
    names = [str(event.task) for event in trace.events]
    write = max(at for at, kind in enumerate(kinds) if kind == "UserWrite")
    assert kinds.index("CopyPage") < kinds.index("SendIpi") < write < kinds.index("HandleIpi")
    assert names[write] == "writer"
    verdicts = {fix["label"].split(":")[0]: fix["verdict"] for fix in goal["fixes"]}
    assert list(verdicts.values()) == ["unsafe", "wrong", "safe", "safe"]
    assert ". Lost write after" in goal["fixes"][0]["says"]
    assert "nothing breaks" in goal["fixes"][2]["says"]


def test_fixes_are_judged_by_the_checker() -> None:
    """What a fix that breaks something is told with is its counterexample, which replays."""
    goal = level_film("stale_entry")["goal"]
    verdicts = {fix["label"]: fix["verdict"] for fix in goal["fixes"]}
    assert sorted(verdicts.values()) == ["safe", "safe", "unsafe"]
    broken = next(fix for fix in goal["fixes"] if fix["verdict"] == "unsafe")
    assert replay(broken["run"]).violation is not None
    assert check("stack_grows", "rwsem_v38").verdict == "safe"


def test_every_level_has_one_right_answer_at_least() -> None:
    """Otherwise there is nothing to find."""
    for level in LEVELS.values():
        assert any(fix.right or fix.variant for fix in level.fixes)
        assert not any(fix.right and fix.variant for fix in level.fixes)


def test_a_level_that_does_not_exist_names_those_that_do() -> None:
    """One sentence."""
    with pytest.raises(UnknownName, match="stale_entry"):
        find("stale_entri")
