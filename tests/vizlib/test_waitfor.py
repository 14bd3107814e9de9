"""The wait-for graph says what the machine says: who waits, for what, and which circle is a deadlock."""

from __future__ import annotations

import json
import random
import re
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg

import vizlib
from sim import trace as traces
from sim.engines.stepper import Stepper
from sim.trace import Trace
from tests.vizlib import runs
from vizlib.chrome.waitfor import CROWD, waitfor
from vizlib.lenses.lock import Hold
from vizlib.moments import Run
from vizlib.renderers import text
from vizlib.renderers.mpl import draw, render_waits, save
from vizlib.showcase import showcase
from vizlib.waitfor import Edge, _ahead, _circles, busiest, told, wait_graph

DEADLOCKS = {
    ("batch_deadlock~B7", "batch_2mb"): ("mover", "the page lock of f1 (p1)", "writeback", "the page lock of f0 (p0)"),
    ("batch_deadlock~B7", "batch_v63_rc"): (
        "mover",
        "the writeback of frame f1",
        "writeback",
        "the page lock of f0 (p0)",
    ),
    ("mlock_inversion~blocking", "mutex_v37"): ("kswapd", "mmap_sem of P", "process", "the anon_vma lock of A_heap"),
}


@cache
def crowded() -> Trace:
    """Twelve threads that migrate on demand, in an order drawn by lot: most of them wait for one mutex."""
    stepper = Stepper("numa02", "mutex_v37", "", threads=12, pages=2, nodes=4)
    lot = random.Random(3)
    for _ in range(700):
        stepper.step(lot.choice(stepper.runnable))
    return stepper.trace


@pytest.mark.parametrize(("name", "circle"), DEADLOCKS.items())
def test_a_deadlock_is_a_circle(name: tuple[str, str], circle: tuple[str, ...]) -> None:
    """At the end of the checker's counterexample, and not before its last step."""
    run = Run(showcase(*name))
    graph = wait_graph(run.moment(run.length))
    assert [tuple(graph.said[it] for it in found) for found in graph.circles] == [circle]
    assert wait_graph(run.moment(run.length - 1)).circles == ()


def test_the_text_says_the_circle_in_a_sentence() -> None:
    """Task by task, and then round."""
    run = showcase("batch_deadlock~B7", "batch_2mb")
    lines = re.sub(r"\n\s+", " ", text.waits(run).partition("\n\n")[2])
    assert "mover waits for the page lock of f1 (p1), held by writeback " in lines
    assert (
        "Deadlock: mover waits for the page lock of f1 (p1), held by writeback, which waits for the page lock of f0 "
        "(p0), held by mover. None can ever go on."
    ) in lines


def test_a_thread_that_only_computes_waits_for_nobody() -> None:
    """A spinner never comes to an end, and that is not somebody's doing."""
    run = Run(runs.trace("move_pages", "mutex_v37"))
    assert any(it.kind == "spinner" for it in run.actors)
    assert all(edge.source != "task:spinner-1" for moment in run.moments() for edge in wait_graph(moment).edges)


@pytest.mark.parametrize("name", runs.NAMES, ids=" ".join)
def test_it_has_an_arrow_for_whoever_cannot_go_on_and_for_nobody_else(name: tuple[str, str]) -> None:
    """After every step; and a run that ends without a deadlock never has a circle."""
    for moment in Run(runs.trace(*name)).moments():
        graph = wait_graph(moment)
        stuck = {
            f"task:{it.name}" for it in moment.run.actors if it.kind == "thread" and moment.waits_for(it) is not None
        }
        assert {it.source for it in graph.edges if it.source in graph.tasks} == stuck
        assert graph.circles == ()
        assert all(it.target in graph.said and it.source in graph.said for it in graph.edges)


def test_only_a_lock_that_somebody_waits_for_is_shown() -> None:
    """Its holders are those of its value; mover's mmap_sem, which nobody wants, is not there."""
    run = Run(showcase("batch_deadlock~B7", "batch_2mb"))
    graph = wait_graph(run.moment(run.length))
    assert sorted(graph.locks) == ["lock:f0.PG_locked", "lock:f1.PG_locked"]
    assert "P.mmap_sem" in str(run.moment(run.length).get(run.actors[0].task.held))


def test_in_the_queue_of_a_rwsem_readers_wait_for_the_writer_before_them() -> None:
    """And a writer for whoever is before it; readers beside each other go together."""
    queue = (Hold("w"), Hold("r1", "read"), Hold("r2", "read"))
    assert _ahead(queue[:0], queue[0]) is None
    assert _ahead(queue[:1], queue[1]) == _ahead(queue[:2], queue[2]) == Hold("w")
    assert _ahead(queue, Hold("w2")) == Hold("r2", "read")


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from("abcdef")).filter(lambda it: it[0] != it[1])))
def test_a_circle_is_found_where_there_is_one(pairs: list[tuple[str, str]]) -> None:
    """Each that is told is one; where none is, no node can come back to itself."""
    edges = [Edge(source, target, "waits for") for source, target in pairs]
    circles = list(_circles(list("abcdef"), edges))
    for circle in circles:
        assert set(zip(circle, (*circle[1:], circle[0]), strict=True)) <= set(pairs)
        assert len(set(circle)) == len(circle)
    reached = {it: {target for source, target in pairs if source == it} for it in "abcdef"}
    for _ in "abcdef":
        for its in reached.values():
            its |= {far for near in tuple(its) for far in reached[near]}
    assert bool(circles) == any(name in its for name, its in reached.items())


def test_where_nobody_waits_it_says_when_most_do() -> None:
    """The last step of a run that ends well has nothing to show."""
    most = busiest(Run(runs.trace()))
    assert text.waits(runs.trace()).endswith(f"\n\n  Nobody waits. Most threads wait after step {most}.\n")
    assert "waits for the answer of CPU 1" in text.waits(runs.trace(), most)


def test_of_a_crowd_only_a_few_are_drawn_and_all_are_told() -> None:
    """Threads that wait for the same stand in one line; the last box says how many more there are."""
    run = Run(crowded())
    step = busiest(run)
    assert step is not None
    graph = wait_graph(run.moment(step))
    (line,) = (it for it in told(graph) if "anon_vma lock of A_heap" in it)
    waiting = [it for it in graph.edges if it.target in graph.locks]
    assert all(graph.said[it.source] in line for it in waiting)
    assert len(waiting) > CROWD
    scene, _ = waitfor(run.moment(step), "crowd")
    words = [it.s for mark in scene.marks.values() for it in mark.text]
    assert f"and {len(waiting) - CROWD} more" in words


@pytest.mark.parametrize("name", [*DEADLOCKS, "crowd"], ids=str)
def test_words_and_boxes_stand_on_the_page(name: tuple[str, str] | str) -> None:
    """No box lies on another, none leaves the page, and no word leaves its box, as measured with the real font."""
    run = Run(crowded() if isinstance(name, str) else showcase(*name))
    scene, width = waitfor(run.moment(busiest(run) or 0), "title")
    (panel,) = scene.panels
    boxes = [it for it in scene.marks.values() if it.shape == "rect" and it.text]
    for at, it in enumerate(boxes):
        assert 0 <= it.x <= it.x + it.w <= panel.w <= width
        assert 0 <= it.y <= it.y + it.h <= panel.h
        for other in boxes[:at]:
            assert (
                it.x + it.w < other.x or other.x + other.w < it.x or it.y + it.h < other.y or other.y + other.h < it.y
            )
    figure = draw(scene, "light", width)
    renderer = FigureCanvasAgg(figure).get_renderer()
    widths = {it.get_text(): it.get_window_extent(renderer).width * 100 / figure.dpi for it in figure.axes[0].texts}
    for it in boxes:
        assert all(widths[line.s] <= it.x + it.w - line.x for line in it.text), it.id
    for line in scene.marks["waits:verdict"].text:
        assert line.x + widths[line.s] <= width


def test_a_deadlock_is_told_by_more_than_colour() -> None:
    """Its arrows are bold and numbered in their order, its boxes have a second outline, and the word stands above."""
    run = Run(showcase("batch_deadlock~B7", "batch_2mb"))
    scene, _ = waitfor(run.moment(run.length), "title")
    arrows = [it for it in scene.marks.values() if it.id.startswith("arrow:")]
    assert all(it.bold for it in arrows)
    words = [it.text[0].s for it in scene.marks.values() if it.id.startswith("words:")]
    assert sorted(words) == ["1  waits for", "2  held by", "3  waits for", "4  held by"]
    assert sum(it.id.startswith("stuck:") for it in scene.marks.values()) == 4
    assert scene.marks["waits:verdict"].text[0].s.startswith("Deadlock")


def test_the_picture_is_the_same_bytes_every_time(tmp_path: Path) -> None:
    """And names everybody; a step that does not exist is refused."""
    run = showcase("mlock_inversion~blocking")
    for name in "ab":
        save(render_waits(run), tmp_path / f"{name}.svg")
    found = (tmp_path / "a.svg").read_text(encoding="utf-8")
    assert found == (tmp_path / "b.svg").read_text(encoding="utf-8")
    for words in ("kswapd", "process", "mmap_sem of P", "anon_vma lock of A_heap", "waits to read"):
        assert words in found
    with pytest.raises(IndexError, match="step 61 is not between 0 and 60"):
        vizlib.waits(run, 61)


def test_a_name_that_is_markup_or_mathematics_stays_a_name(tmp_path: Path) -> None:
    """From a saved trace into the picture and the text: nothing is an element, and nothing a formula."""
    evil = "<img src=x onerror=a()> $x^2$"
    data = json.dumps(showcase("batch_deadlock~B7", "batch_2mb").to_json())
    run = traces.from_json(json.loads(data.replace('"mover"', json.dumps(evil))))
    assert f"{evil} waits for the page lock of f1" in re.sub(r"\s+", " ", text.waits(run))
    save(render_waits(run), tmp_path / "evil.svg")
    found = (tmp_path / "evil.svg").read_text(encoding="utf-8")
    assert "<img" not in found
    assert "&lt;img src=x onerror=a()&gt; $x^2$" in found
