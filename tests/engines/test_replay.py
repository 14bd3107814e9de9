"""Replays from a tape: the run's own numbers to the nanosecond, or a refusal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sim
from sim.engines import quick as quickly
from sim.engines import replay as module
from sim.engines.arrivals import Arrivals
from sim.engines.costs import DEFAULT, ROWS
from sim.engines.quick import quick
from sim.engines.replay import CHECKED, Player, replay
from sim.engines.tape_books import Books
from sim.engines.timed import POLICIES, run
from sim.engines.timed_run import TimedRun
from sim.errors import Untaped
from tests.engines.test_memory import most_memory


@pytest.fixture(autouse=True)
def _nothing_kept() -> Iterator[None]:
    yield
    module.forget()
    quickly.forget()


def told(it: TimedRun) -> object:
    """Everything that a result says of times, counts and sleeps."""
    return it.pages_migrated, it.elapsed_ns, it.steps, it.counts, it.sites


@settings(max_examples=14, deadline=None)
@given(
    variant=st.sampled_from(["mutex_v37", "rwsem_v38", "rfc_split_unlocked"]),
    policy=st.sampled_from(sorted(POLICIES)),
    threads=st.integers(1, 6),
    nodes=st.integers(2, 4),
    pages=st.integers(3, 14),
    row=st.sampled_from([it.name for it in ROWS]),
    factor=st.sampled_from([0, 1 / 3, 1, 3, 40]),
)
def test_a_replay_is_the_run_to_the_nanosecond(row: str, factor: float, **ask: Any) -> None:
    """Time, steps, every count, and who slept where for how long: whatever the locks, their policy and the costs."""
    costs = DEFAULT.with_(row, DEFAULT[row] * factor)
    found = replay("numa02", costs=costs, **ask)
    assert told(found) == told(run("numa02", costs=costs, **ask))
    assert found.taped == CHECKED


def test_with_many_threads_it_is_the_run_too() -> None:
    """Ten threads come to the lock at the same nanosecond again and again."""
    for variant in ("mutex_v37", "rwsem_v38"):
        ask = {"threads": 10, "pages": 9}
        assert told(replay("numa02", variant, params=ask)) == told(run("numa02", variant, params=ask))


def test_other_costs_and_more_pages_are_replayed_from_the_same_tape(monkeypatch: pytest.MonkeyPatch) -> None:
    """One recording and one comparison for each policy, whatever is asked after that."""
    made: list[str] = []
    monkeypatch.setattr(module, "Tape", lambda *its, tape=module.Tape: made.append("tape") or tape(*its))
    monkeypatch.setattr(module.timed, "run", lambda *its, **more: made.append("run") or run(*its, **more))
    replay("numa02", threads=2, pages=6)
    ask = {"threads": 2, "pages": 9}
    for costs in (DEFAULT.scaled(2), DEFAULT.with_("acquire", 5000), DEFAULT.with_("wake_latency", 0)):
        assert told(replay("numa02", params=ask, costs=costs)) == told(run("numa02", params=ask, costs=costs))
    assert made == ["tape", "run"]
    replay("numa02", threads=2, pages=6, policy="steal")
    assert made == ["tape", "run", "run"]


@pytest.mark.parametrize("broken", ["a nanosecond", "nobody is served", "threads before interrupts"])
def test_a_tape_that_does_not_do_what_the_run_does_is_refused(monkeypatch: pytest.MonkeyPatch, broken: str) -> None:
    """It is compared with a run; then that is run which was asked for."""
    if broken == "a nanosecond":
        monkeypatch.setattr(Books, "step", lambda *its, step=Books.step: step(*its) + 1)
    elif broken == "nobody is served":
        monkeypatch.setattr(Player, "_serve", lambda *_: 0)
    else:
        monkeypatch.setattr(
            Arrivals, "settle", lambda it, queue, settle=Arrivals.settle: settle(it, [(queue[0][0] - 1,)])
        )
    monkeypatch.setattr(quickly, "TAPED", 1)
    ask = {"threads": 5, "pages": 5}
    with pytest.raises(Untaped):
        replay("numa02", "rwsem_v38", params=ask)
    found, whole = quick("numa02", "rwsem_v38", params=ask), run("numa02", "rwsem_v38", params=ask)
    assert (found.taped, found.elapsed_ns, found.counts) == (0, whole.elapsed_ns, whole.counts)


def test_many_pages_of_many_threads_are_answered_from_a_tape(monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer is the same as from runs, and says that it comes from a tape; then it has no schedule."""
    ask = {"threads": 3, "pages": 48, "nodes": 2}
    plain = quick("numa02", "rwsem_v38", params=ask)
    quickly.forget()
    monkeypatch.setattr(quickly, "TAPED", 100)
    found = quick("numa02", "rwsem_v38", params=ask)
    assert (plain.taped, found.taped) == (0, CHECKED)
    assert (found.elapsed_ns, found.counts) == (plain.elapsed_ns, plain.counts)
    assert found.schedule == ""
    monkeypatch.setattr(module, "can", None)  # what is remembered is not asked for a tape
    assert quick("numa02", "rwsem_v38", params=ask) is found


@pytest.mark.parametrize(
    ("world", "why", "ask"),
    [
        ("one_page", "no number of threads", {}),
        ("numa02", "no two pages cost the same", {"threads": 2, "pages": 8, "seed": 1}),
        ("numa02", "pages=2 is not from 3 to 512", {"threads": 2, "pages": 2}),
        ("numa02", "not every page is as the one before", {"threads": 2, "pages": 8, "rounds": 3, "scan": 4}),
        ("numa01", "copies between other nodes", {"threads": 4, "pages": 8}),
        ("movers", "not every page is as the one before", {"threads": 2, "pages": 8, "huge": 1}),
    ],
)
def test_what_cannot_be_replayed_is_refused_with_the_reason(world: str, why: str, ask: dict[str, int]) -> None:
    """One sentence; nothing is replayed on trust."""
    with pytest.raises(Untaped, match=f"{world} under mutex_v37 cannot be replayed from a tape: .*{why}"):
        replay(world, **ask)  # type: ignore[arg-type]


def test_a_replay_takes_little_memory_however_long_it_lasts() -> None:
    """A hundred pages more; a list with an entry for each step would take eight bytes a step."""
    replay("numa02", threads=2, pages=40)
    few, short = most_memory(lambda: replay("numa02", threads=2, pages=40))
    many, long = most_memory(lambda: replay("numa02", threads=2, pages=140))
    assert many - few < 4 * (long - short)


def test_a_variant_of_a_readers_own_has_a_tape_of_its_own() -> None:
    """Its name may come again with other functions."""
    mine = sim.variant("mutex_v37").changed("mine", rmap_walk_anon_lock=_nothing, rmap_walk_anon_unlock=_nothing)
    ask = {"threads": 2, "pages": 6}
    assert told(replay("numa02", mine, params=ask)) == told(run("numa02", mine, params=ask))


def _nothing(_: object, __: object) -> Any:
    yield from ()
