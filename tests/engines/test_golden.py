"""A small migration protocol with known answers: the checker gives TLC's numbers of states, and its depths.

The protocol stands in sim/bench/protocol.py, where it is measured against other checkers too.
"""

from __future__ import annotations

import pytest

from sim import variants
from sim.bench.protocol import protocol
from sim.engines.checker import Search, Verdict, check, fewest_preemptions
from sim.engines.checker_tables import Tables
from sim.machine import Machine


def verdict_of(pages: int, users: int, rounds: int, form: str = "") -> Verdict:
    return check(protocol(pages, users, rounds, form), "mutex_v37")


@pytest.mark.parametrize(
    ("pages", "users", "rounds", "states"),
    [
        (1, 1, 1, 619),
        (2, 1, 2, 4_255),
        (1, 2, 1, 5_163),
        (2, 2, 2, 92_532),
        pytest.param(1, 3, 2, 325_141, marks=pytest.mark.slow),
    ],
)
def test_the_correct_form_is_safe_with_as_many_states_as_tlc_finds(pages, users, rounds, states) -> None:
    """Locals that no longer matter are no part of the state, and all that matters is."""
    found = verdict_of(pages, users, rounds)
    assert (found.verdict, found.complete, found.states) == ("safe", True, states)


@pytest.mark.parametrize(
    ("pages", "users", "rounds", "noref", "late"),
    [(1, 1, 1, 8, 19), (2, 1, 2, 10, 19), (1, 2, 1, 8, 19), (2, 2, 2, 10, 19), (1, 3, 2, 8, 19)],
)
def test_counterexamples_are_as_short_as_tlc_s(pages, users, rounds, noref, late) -> None:
    for form, kind, steps in (("noref", "use after free", noref), ("late", "lost write", late)):
        found = verdict_of(pages, users, rounds, form)
        assert [(it.kind, it.steps) for it in found.violations] == [(kind, steps)]


@pytest.mark.parametrize("form", ["noref", "late"])
def test_a_counterexample_goes_wrong_in_its_last_step_when_it_is_run(form) -> None:
    """The machine, told the schedule, raises the same violation, and not before the last step."""
    world = protocol(1, 1, 1, form)
    (found,) = verdict_of(1, 1, 1, form).violations
    machine = Machine(world.setup(), variants.find("mutex_v37"))
    for task, choice in found.schedule:
        assert machine.violation is None
        machine.step(machine.tasks[task].task, choice or 0)
    assert machine.violation is not None
    assert (machine.violation.kind, machine.violation.sentence) == (found.kind, found.sentence)


def test_keeping_all_answers_finds_more_states_and_nothing_else() -> None:
    """The reference key, everything a task was ever sent, is sound: same verdicts, same depths."""
    for form, kinds in (("", []), ("noref", [("use after free", 8)]), ("late", [("lost write", 19)])):
        search = Search(Tables(protocol(1, 1, 1, form).setup(), variants.find("mutex_v37"), merge=False))
        search.run()
        assert [(kind, len(turns)) for kind, (_, turns) in search.found.items()] == kinds
        assert form or len(search.seen) > 619


@pytest.mark.parametrize(("form", "preemptions"), [("noref", 1), ("late", 3)])
def test_fewest_preemptions_is_a_search_of_its_own(form, preemptions) -> None:
    """For ``noref`` the munmap runs between two steps of the migrator.  For ``late`` the user must fill its TLB before
    the PTE goes, and write after the copy was begun.
    """
    world = protocol(1, 1, 1, form)
    found = fewest_preemptions(world, "mutex_v37")
    assert found is not None
    assert found.preemptions == preemptions
    (shortest,) = verdict_of(1, 1, 1, form).violations
    assert found.preemptions <= shortest.preemptions
    assert found.steps >= shortest.steps
