"""A run under the clock as a trace for Perfetto: what its format asks for, and the same times as the lanes."""

from __future__ import annotations

import json
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from sim import run
from vizlib.__main__ import main
from vizlib.perfetto import perfetto
from vizlib.scene import Json
from vizlib.timeline import timeline


@pytest.fixture(scope="module")
def lanes() -> Json:
    """Four threads that sleep for one lock."""
    return timeline(run("numa02", "mutex_v37", threads=4, pages=8, record=True))


@pytest.fixture(scope="module")
def events(lanes: Json) -> list[dict[str, Any]]:
    """The events of its trace."""
    found: list[dict[str, Any]] = perfetto(lanes)["traceEvents"]
    return found


def test_every_event_has_what_its_phase_asks_for(events: list[dict[str, Any]]) -> None:
    """Slices a duration, instants a scope, asynchronous ones and arrows an id; and times never run backwards."""
    asked = {
        "X": {"dur"},
        "i": {"s"},
        "b": {"id"},
        "e": {"id"},
        "s": {"id"},
        "f": {"id", "bp"},
        "C": {"args"},
        "M": {"args"},
    }
    for it in events:
        assert {"name", "ph", "pid", *asked[it["ph"]]} <= set(it)
        assert it["ph"] == "M" or it["ts"] >= 0
    times = [it["ts"] for it in events if it["ph"] != "M"]
    assert times == sorted(times)
    assert {it["ph"] for it in events} == set(asked)


def test_what_begins_ends_and_each_arrow_has_a_point(events: list[dict[str, Any]]) -> None:
    """One end for each begin, later or at once; on tracks that have a name."""
    for begin, end in (("b", "e"), ("s", "f")):
        starts, ends = ({(it["cat"], it["id"]): it for it in events if it["ph"] == ph} for ph in (begin, end))
        assert starts
        assert set(starts) == set(ends)
        assert all(starts[it]["ts"] <= ends[it]["ts"] for it in starts)
    tracks = {it["tid"] for it in events if it["name"] == "thread_name"}
    assert {it["tid"] for it in events if "tid" in it} == tracks


def test_it_says_what_the_lanes_say(lanes: Json, events: list[dict[str, Any]]) -> None:
    """As many of each kind, and the same times; how many wait is what the waits add up to."""
    kinds = Counter(it["cat"] for it in events if it["ph"] in "Xib")
    for kind in ("hold", "wait", "copy", "flush", "interrupt"):
        assert kinds[kind] == sum(len(lane[kind][0]) for lane in lanes["lanes"] if kind in lane)
    last = max(it["ts"] + it.get("dur", 0) for it in events if it["ph"] != "M")
    assert last <= lanes["end"] / 1000
    waiting = [it["args"]["threads"] for it in events if it["ph"] == "C"]
    assert waiting[-1] == 0
    assert min(waiting) == 0
    assert all(abs(now - before) == 1 for before, now in pairwise((0, *waiting)))


def test_an_arrow_leads_from_each_ipi_to_the_thread_that_it_interrupts(
    lanes: Json, events: list[dict[str, Any]]
) -> None:
    """Each interrupt that a lane shows has one, from another thread, which flushes TLBs; and each wake-up has one."""
    arrows = [it for it in events if it["ph"] == "s"]
    taken = {(it["tid"], it["ts"]) for it in events if it["ph"] == "i" and it["cat"] == "interrupt"}
    ipis = {it["id"]: it for it in events if it["ph"] == "f" and it["cat"] == "ipi"}
    assert ipis
    assert {(it["tid"], it["ts"]) for it in ipis.values()} == taken
    senders = {it["tid"] for it in events if it["ph"] == "i" and it["cat"] == "flush"}
    for it in arrows:
        if it["cat"] == "ipi":
            assert it["tid"] in senders - {ipis[it["id"]]["tid"]}
    assert sum(it["cat"] == "wake" for it in arrows) == len(lanes["wakes"][0])


def test_the_command_writes_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With a file's suffix; it is called simulated."""
    path = tmp_path / "run.json"
    assert main(["lanes", "numa02", "mutex_v37", "threads=2", "pages=4", "-o", str(path)]) == 0
    written = json.loads(path.read_text())
    assert written["traceEvents"][0]["args"]["name"].endswith("(simulated)")
    assert str(path) in capsys.readouterr().out
