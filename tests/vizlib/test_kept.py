"""What is kept from one step to the next: the same as if it were asked for anew, and no more than is needed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

from sim.engines.checker import check
from sim.structs import Page, Slots
from tests.vizlib import runs
from vizlib.film import film
from vizlib.kept import MOST_QUESTIONS, Group, Kept
from vizlib.lenses.task import thread
from vizlib.moments import Moment, Run
from vizlib.stills import Stage, blocked_at, stills
from vizlib.waitfor import edges_at


def answers(run: Run, group: Group[Any]) -> Iterator[list[Any]]:
    """What the functions of *group* say after each step."""
    kept = Kept(group)
    for moment in run.moments():
        kept.at(moment)
        yield [*group.answers]


@pytest.mark.parametrize("name", runs.NAMES)
def test_what_is_kept_is_what_would_be_said_anew(name: tuple[str, str]) -> None:
    """At every step the marks, threads, locks and waits are those of lenses that are asked for all of them.

    Also where the stage is that of another run of the same world, as in a film that can be played on.
    """
    run = Run(runs.trace(*name))
    stage = Stage(Run(runs.trace(*name)))
    for moment, shot in zip(run.moments(), stills(run, stage), strict=True):
        assert list(shot.marks.values()) == [it for lens in stage.lenses for it in lens.marks(moment)], moment.step
        assert list(shot.family.values()) == list(stage.family.marks(moment)), moment.step
        assert shot.threads == {it.name: thread(it, moment) for it in run.actors}, moment.step
        assert shot.locks == stage.locks.locks_at(moment), moment.step
        assert [(source, *it) for source, its in shot.waits.items() for it in its] == sorted(
            edges_at(moment), key=lambda it: list(shot.waits).index(it.source)
        ), moment.step
        assert dict(shot.blocked) == dict(blocked_at(moment, run.actors)), moment.step


@pytest.mark.parametrize(
    "name", [("move_pages?pages=2,spinners=2,pinned=1", "mutex_v37"), ("stack_grows", "rwsem_v38")]
)
def test_every_question_with_another_answer_is_among_the_news(name: tuple[str, str]) -> None:
    """Of all that can be asked about a task, and about a field of the run and its object."""
    run = Run(runs.trace(*name))
    of_actors = (Moment.acts, Moment.can_run, Moment.has_next, Moment.waits_for, Moment.stack_of, Moment.flush_by)
    about: dict[Callable[[Moment, Any], Any], Iterable[Any]] = dict.fromkeys(of_actors, run.actors)
    about[Moment.intends] = [it.task for it in run.actors]
    about |= dict.fromkeys((Moment.remembers, Moment.changes, Moment.waiters), run.ever)
    about[Moment.changed_in] = {it.ref for it in run.ever}
    about[Moment.toucher] = {*run.ever, *about[Moment.changed_in]}
    before: dict[Any, Any] = {}
    other: set[Any] = set()
    for moment in run.moments():
        now = {(question, it): question(moment, it) for question, its in about.items() for it in its}
        anew = {it for it in before if now[it] != before[it]}
        assert moment.ended or anew <= run.news(moment.step), (moment.step, anew - run.news(moment.step))
        other |= {question for question, _ in anew}
        before = now
    assert other == {*about}, "each of them has another answer at some step"


def test_what_no_step_touches_is_asked_for_twice() -> None:
    """At the beginning and at the end; who asks for the step itself is asked at every step."""
    run = Run(runs.trace("move_pages"))
    asked = [0, 0]

    def still(moment: Moment) -> object:
        asked[0] += 1
        return moment.get(Page("nobody's").data)

    def step(moment: Moment) -> object:
        asked[1] += 1
        return moment.step

    both = Group([still, step])
    assert list(answers(run, both)) == [[None, it] for it in range(run.length + 1)]
    assert asked == [2, run.length + 1]


def test_who_is_told_what_it_was_told_before_says_the_same_unasked() -> None:
    """A lock is free again: asked is once when nobody has held it yet, for each holder, when it is free, at the end."""
    run = Run(runs.trace("move_pages"))
    lock = max(run.locked, key=lambda it: len(run.ever[it]))
    asked: list[object] = []

    def held_by(moment: Moment) -> object:
        asked.append(moment.get(lock))
        return asked[-1]

    assert list(answers(run, Group([held_by]))) == [[moment.get(lock)] for moment in run.moments()]
    assert lock not in run.first
    assert len(run.ever[lock]) > len(asked) == 2 + len({*run.ever[lock]}), asked


def test_who_asks_for_much_is_told_the_truth() -> None:
    """Of all that there is, some of it not at the start: more questions than what is said is kept for."""
    run = Run(runs.trace("move_pages"))
    everything = [*run.ever]
    assert len(everything) > MOST_QUESTIONS

    def whole(moment: Moment) -> list[object]:
        return [moment.memory.get(it, "nothing") for it in everything]

    assert list(answers(run, Group([whole]))) == [[whole(moment)] for moment in run.moments()]


def test_no_film_and_no_verdict_goes_through_what_other_runs_have_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A table has the slots of every run there was in the process: after a large one to list it takes long."""
    trace = runs.trace("move_pages")

    def refuse(slots: Slots, *_: Any) -> Any:
        raise AssertionError(f"a table is listed, of {len(slots)} slots")

    for name in ("__iter__", "items", "keys", "values"):
        monkeypatch.setattr(Slots, name, refuse)
    assert film(trace)["steps"]
    assert check("exec_stack", "mutex_v37").verdict == "safe"
