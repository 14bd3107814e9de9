"""A run under the clock as lanes."""

from __future__ import annotations

from functools import cache
from itertools import accumulate, pairwise
from typing import Any

import pytest

from sim.engines.timed import run
from sim.engines.timed_run import TimedRun
from sim.errors import UserError
from vizlib.timeline import bars, text, timeline


@cache
def timed() -> TimedRun:
    """Four threads, eight pages each, one mutex."""
    return run("numa02", "mutex_v37", record=True, threads=4, pages=8, nodes=2)


def spans(lane: dict[str, Any], kind: str) -> list[tuple[int, int]]:
    """The intervals of a kind, as times."""
    starts, lengths, _ = lane.get(kind, ([], [], []))
    return [(start, start + length) for start, length in zip(accumulate(starts), lengths, strict=True)]


def test_waits_are_the_runs_sleeps() -> None:
    """As many, as long, and each thread its own."""
    made = timeline(timed())
    for lane in made["lanes"]:
        slept = [it for it in timed().sleeps if it.task == lane["task"] and it.field is not None]
        assert spans(lane, "wait") == sorted((it.time, it.time + it.duration) for it in slept)


def test_a_mutex_is_held_by_one_at_a_time_and_by_nobody_who_waits_for_it() -> None:
    """The holds of all lanes do not overlap; what is shown are the locks that somebody slept for."""
    made = timeline(timed())
    assert {it for it in made["labels"] if "lock" in it or "sem" in it} == {"anon_vma lock of A_heap"}
    held = sorted(it for lane in made["lanes"] for it in spans(lane, "hold"))
    assert len(held) == 2 * 32, "two walks a page"
    assert all(before[1] <= after[0] for before, after in pairwise(held))


def test_flushes_and_interrupts_are_counted() -> None:
    """A flush a page; each interrupts the others."""
    made = timeline(timed())
    flushes = sum(len(spans(lane, "flush")) for lane in made["lanes"])
    interrupts = sum(len(spans(lane, "interrupt")) for lane in made["lanes"])
    assert flushes == 4 * 8
    assert interrupts == 3 * flushes


def test_who_woke_whom_is_who_released_the_lock() -> None:
    """Each arrow goes from the end of a hold to the end of a wait."""
    made = timeline(timed())
    released, woken, senders, sleepers = (list(accumulate(it)) for it in made["wakes"])
    assert len(woken) == len([it for it in timed().sleeps if it.field is not None and it.duration])
    for at, then, one, other in zip(released, woken, senders, sleepers, strict=True):
        assert at <= then
        assert at in {end for _, end in spans(made["lanes"][one], "hold")}
        assert then in {end for _, end in spans(made["lanes"][other], "wait")}


def test_the_text_twin_names_each_thread() -> None:
    """With the shares of its time."""
    lines = text(timeline(timed())).splitlines()
    assert [line.split()[0] for line in lines[1:]] == [f"worker-{number}" for number in range(1, 5)]


def test_a_run_without_its_steps_is_refused() -> None:
    """It says how to have them."""
    with pytest.raises(UserError, match="record=True"):
        timeline(run("numa02", "mutex_v37", threads=2, pages=1, nodes=2))


def test_the_bars_of_a_still_cover_what_the_lanes_do() -> None:
    """With a least gap below a nanosecond each span is there; with few parts they flow together, and none is lost."""
    made = timeline(timed())
    fine = bars(made, most=10 * made["end"])
    coarse = bars(made, most=50)
    for lane in made["lanes"]:
        for kind in ("hold", "wait", "copy"):
            its = [(it["from"], it["to"]) for it in fine if (it["task"], it["kind"]) == (lane["task"], kind)]
            seen = spans(lane, kind)
            assert [it for it in seen if not any(start <= it[0] and it[1] <= end for start, end in its)] == []
            assert {start for start, _ in its} <= {start for start, _ in seen}
            assert {end for _, end in its} <= {end for _, end in seen}
            broad = [(it["from"], it["to"]) for it in coarse if (it["task"], it["kind"]) == (lane["task"], kind)]
            assert [it for it in seen if not any(start <= it[0] and it[1] <= end for start, end in broad)] == []
            assert all(b[0] - a[1] > made["end"] / 50 for a, b in pairwise(broad))
    assert len(coarse) < len(fine)
