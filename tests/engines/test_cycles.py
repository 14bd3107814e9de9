"""What comes again in a replay is counted and not played; the result is the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from sim.engines import cycles, replay
from sim.engines.costs import DEFAULT
from sim.engines.replay import Player
from sim.engines.tape_books import Books
from sim.engines.timed_run import TimedRun
from tests.engines.test_replay import told

#: World, variant, parameters, and how many steps that others can see are left of a hundred.
LEFT = [
    ("numa02", "mutex_v37", {"threads": 8, "pages": 120, "nodes": 2}, 10),
    ("numa02", "batch_2mb", {"threads": 5, "pages": 151}, 10),
    ("numa02", "rfc_split_unlocked", {"threads": 3, "pages": 100}, 20),
]


@pytest.fixture(autouse=True)
def no_tapes() -> Iterator[None]:
    """Tapes are kept by the process; here every test makes its own."""
    replay.forget()
    yield
    replay.forget()


def _played(
    monkeypatch: pytest.MonkeyPatch, rounds: int, world: str, variant: str, **more: Any
) -> tuple[TimedRun, int]:
    """A replay, of which a state may come again within so many *rounds*, and how many of its shared steps were made."""
    made = []
    monkeypatch.setattr(cycles, "ROUNDS", rounds)
    with monkeypatch.context() as patch:
        patch.setattr(Books, "step", lambda *its, step=Books.step: made.append(0) or step(*its))
        return replay.replay(world, variant, **more), len(made)


@pytest.mark.parametrize(("world", "variant", "params", "percent"), LEFT)
def test_it_is_the_same_result_with_a_fraction_of_the_steps(
    monkeypatch: pytest.MonkeyPatch, world: str, variant: str, params: dict[str, int], percent: int
) -> None:
    """To the nanosecond, in every count, and in who slept where for how long and at most; with other costs, too."""
    replay.replay(world, variant, params=params)
    for costs in (DEFAULT, DEFAULT.with_("ipi_handler", 1500), DEFAULT.with_("acquire", 0)):
        whole, every = _played(monkeypatch, 0, world, variant, params=params, costs=costs)
        found, made = _played(monkeypatch, 64, world, variant, params=params, costs=costs)
        assert told(found) == told(whole)
        assert made * 100 <= every * percent


def test_it_is_found_out_and_not_taken_for_granted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads that share a rwsem wander: no state comes again, and every step is made."""
    params = {"threads": 12, "pages": 30}
    replay.replay("numa02", "rwsem_v38", params=params)
    whole, every = _played(monkeypatch, 0, "numa02", "rwsem_v38", params=params)
    found, made = _played(monkeypatch, 64, "numa02", "rwsem_v38", params=params)
    assert told(found) == told(whole)
    assert made == every


#: What may differ in a state, and how it is made to differ.
OTHERWISE: dict[str, Callable[[Player], object]] = {
    "a turn is later": lambda it: _change(it.env.queue, 0, lambda turn: (turn[0] + 1, *turn[1:])),
    "a thread is on another segment": lambda it: _change(it.books.segments, 0, lambda _: it.books.segments[1]),
    "a thread is before its private steps": lambda it: _change(it.books.there, 0, lambda there: not there),
    "a thread is on its CPU": lambda it: _change(it._on_cpu, 0, lambda on: not on),
    "a thread waits for longer": lambda it: _later(next(iter(it.waiting.values()))[0], "since"),
    "a thread sleeps for longer": lambda it: _change(
        it._asleep, min(it._asleep), lambda its: its._replace(time=its.time - 1)
    ),
    "a lock is free": lambda it: it.machine.memory.pop(next(lock for lock in it.waiting if lock in it.machine.memory)),
    "a thread runs": lambda it: _change(it._interrupts.busy, 0, lambda busy: not busy),
    "a thread owes time": lambda it: _change(it._interrupts.owed, 0, lambda owed: owed + 1),
    "a CPU serves an interrupt": lambda it: _change(it._interrupts.serving, 0, lambda _: it.env.now + 1),
    "a handler is at work": lambda it: _change(it._interrupts._handled, -1, lambda _: it.env.now + 1),
    "a request is on its way": lambda it: it._interrupts._coming[-1].append(it.env.now + 9),
    "a request is not answered": lambda it: it._interrupts._asking[-1].append([1, None]),
    "a copy takes longer": lambda it: it.books._shared._busy.update({0: it.env.now + 10**6}),
    "a cache line is elsewhere": lambda it: it.books._shared._lines.update({next(iter(it.waiting)): (None, 0)}),
}


@pytest.mark.parametrize("what", OTHERWISE)
def test_a_state_in_which_anything_is_otherwise_is_another(monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    """It is enough that one thing differs that can decide what follows."""
    player = _stopped(monkeypatch)
    before = [*player.state()]
    assert [*player.state()] == before
    OTHERWISE[what](player)
    assert [*player.state()] != before


def test_when_something_ended_that_is_over_makes_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else no state would come again: a node whose memory was not used for a while is as one that never was."""
    player = _stopped(monkeypatch)
    before = [*player.state()]
    player._interrupts._handled[-1] = player.env.now - 5
    player._interrupts.serving[0] = player.env.now - 7
    assert [*player.state()] == before


def _stopped(monkeypatch: pytest.MonkeyPatch) -> Player:
    """A replay in which somebody waits for a lock that somebody has."""
    found: list[Player] = []

    def look(it: Any) -> None:
        if it._player._asleep:
            found.append(it._player)
            raise StopIteration

    with monkeypatch.context() as patch:
        patch.setattr(cycles.Cycles, "look", look)
        with pytest.raises(StopIteration):
            replay.replay("numa02", threads=4, pages=30)
    return found[0]


def _change(its: Any, place: Any, how: Callable[[Any], object]) -> None:
    its[place] = how(its[place])


def _later(it: Any, name: str) -> None:
    setattr(it, name, getattr(it, name) - 1)
