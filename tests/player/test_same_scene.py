"""One scene, four drawings: text, matplotlib's artists, their SVG, and the player show the same things related alike.

What stands in a drawing is read off the drawing: a text by its lines, a figure by its artists, an SVG by its groups and
paths, the player by what Chromium has laid out.  An arrow counts only where its ends touch what it says it joins.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from matplotlib.figure import Figure
from playwright.sync_api import Page

from sim.ops import SendIpi
from sim.trace import Trace
from tests.vizlib.runs import step_of
from vizlib.film import film
from vizlib.moments import Run
from vizlib.renderers import text
from vizlib.renderers.mpl import render, render_family, render_waits, save, scene_at
from vizlib.scene import Mark
from vizlib.showcase import showcase
from vizlib.waitfor import wait_graph

pytestmark = pytest.mark.browser

#: From an arrow's end to what it touches, at most, in pixels.
NEAR = 14.0
Pairs = set[tuple[str, str]]
Box = tuple[float, float, float, float]

#: The marks that can be seen in a stage, as boxes; arrows with their two ends.
DRAWN = """selector => [...document.querySelectorAll(`${selector} .rmw-mark:not([opacity="0"])`)].map(g => {
    const line = g.querySelector('.rmw-arrow');
    const {left, top, right, bottom} = (g.querySelector('.rmw-shape') ?? g).getBoundingClientRect();
    const at = share => {
        const {x, y} = line.getPointAtLength(share * line.getTotalLength()).matrixTransform(line.getScreenCTM());
        return [x, y];
    };
    return [g.dataset.mark, [left, top, right, bottom], line && [at(0), at(1)]];
})"""


def touches(end: Iterable[float], box: Box, near: float) -> bool:
    """Whether a point lies on a box or beside it."""
    x, y = end
    return box[0] - near <= x <= box[2] + near and box[1] - near <= y <= box[3] + near


def joined(boxes: dict[str, Box], arrows: dict[str, list[Any]], ends: dict[str, tuple[str, str]], near: float) -> Pairs:
    """The pairs that arrows join, each checked to touch both."""
    for name, (start, end) in arrows.items():
        one, other = ends[name]
        assert touches(start, boxes[one], near), f"{name} does not begin at {one}"
        assert touches(end, boxes[other], near), f"{name} does not end at {other}"
    return {ends[name] for name in arrows}


def in_svg(path: Path, ends: dict[str, tuple[str, str]]) -> tuple[dict[str, Box], Pairs]:
    """The boxes and the joined pairs of an SVG that matplotlib wrote."""
    boxes: dict[str, Box] = {}
    arrows: dict[str, list[Any]] = {}
    for group in ET.parse(path).iter("{http://www.w3.org/2000/svg}g"):
        found = group.find("{http://www.w3.org/2000/svg}path")
        name = group.get("id", "")
        if found is None or ":" not in name:
            continue
        numbers = [float(it) for it in re.findall(r"-?\d+\.?\d*", found.get("d", ""))]
        points = list(zip(numbers[::2], numbers[1::2], strict=True))
        if name in ends:
            arrows[name] = [points[0], points[-1]]
        xs, ys = zip(*points, strict=True)
        boxes[name] = (min(xs), min(ys), max(xs), max(ys))
    return boxes, joined(boxes, arrows, ends, NEAR * 0.72)


def artists(figure: Figure) -> set[str]:
    """The ids of what a figure has drawn."""
    return {str(it.get_gid()) for it in figure.axes[0].patches if it.get_gid()}


def in_player(page: Page, selector: str, ends: dict[str, tuple[str, str]]) -> tuple[set[str], Pairs]:
    """The marks on show, and the joined pairs."""
    drawn = page.evaluate(DRAWN, selector)
    boxes = {name: tuple(box) for name, box, _ in drawn}
    return set(boxes), joined(boxes, {name: line for name, _, line in drawn if line and name in ends}, ends, NEAR)


def opened(open_film: Callable[..., Page], made: Trace, step: int, *, graphs: bool) -> Page:
    """The film at a step, with its graphs."""
    page = open_film(film(made), f"step={step}")
    page.emulate_media(reduced_motion="reduce")
    if graphs:
        page.keyboard.press("g")
    return page


def test_the_machine(open_film: Callable[..., Page], tmp_path: Path) -> None:
    """A move with an interrupt on its way: every mark is told, drawn twice, and shown, and its arrows join the same."""
    run = showcase("one_page")
    step = step_of(run, SendIpi)
    shown = {name: it for name, it in scene_at(run, step).marks.items() if name.startswith(MACHINE) and it.say}
    assert {"tlb", "pte", "page", "rm", "ipi"} <= {it.partition(":")[0] for it in shown}
    figure = render(run, step)
    save(figure, tmp_path / "it.svg")
    ends = {name: _ends(it) for name, it in shown.items() if it.shape == "arrow" and _ends(it)}
    lines = {re.sub(r"\s+", " ", it).strip() for it in re.split(r"\n(?=  \S|\S|\n)", text.render(run, step))}
    assert {it.say for it in shown.values()} <= lines
    assert set(shown) <= artists(figure)
    boxes, pairs = in_svg(tmp_path / "it.svg", ends)
    assert set(shown) <= set(boxes)
    marks, moving = in_player(opened(open_film, run, step, graphs=False), ".rmw-machine", ends)
    assert set(shown) <= marks
    assert pairs == moving == set(ends.values())
    assert len(pairs) > 3


MACHINE = ("cpu:", "tlb:", "pte:", "page:", "token:", "rm:", "ipi:")


def _ends(mark: Mark) -> tuple[str, str] | None:
    """What an arrow joins: it says so, or its name does."""
    one, sign, other = mark.id.partition(">")
    return (one, f"rm:{other}") if sign else mark.ends if len(mark.ends) == 2 else None  # type: ignore[return-value]


def test_the_family(open_film: Callable[..., Page], tmp_path: Path) -> None:
    """In the middle of a walk, with a child that is being forked."""
    run, step = showcase("fork_during_migration"), 140
    words = text.family(run, step)
    told = {(f"kin:{one}", f"kin:{other}") for one, other in re.findall(r"^  (\S+) → (\S+)", words, re.MULTILINE)}
    objects = r"^  (?:anon_vma|AVC|VMA) (\S+)(?:, refcount|:) "
    things = {f"kin:{it}" for it in re.findall(objects, words, re.MULTILINE)}
    assert len(told) > 5
    assert len(things) > 6
    ends = {f"{one}>{other}": (one, other) for one, other in told}
    figure = render_family(run, step)
    save(figure, tmp_path / "it.svg")
    walker = re.search(r"(\w+) walks \S+ in rmap_walk_anon: stop 1", words)
    assert walker
    walking = f"walk:{walker[1]}"
    drawn = {it for it in artists(figure) if it.startswith(("kin:", "walk:"))}
    assert drawn == {*things, *ends, walking}
    boxes, pairs = in_svg(tmp_path / "it.svg", ends)
    page = opened(open_film, run, step, graphs=True)
    marks, moving = in_player(page, "[data-graph=family]", ends)
    assert {it for it in marks if it.startswith(("kin:", "walk:")) and not it.endswith(":mm")} == drawn
    assert pairs == moving == told
    stop = re.search(r"stop 1, (\S+),", words)
    assert stop
    for where in (boxes, {it: tuple(box) for it, box, _ in page.evaluate(DRAWN, "[data-graph=family]")}):
        left, top, right, bottom = where[walking]
        assert touches(((left + right) / 2, (top + bottom) / 2), where[f"kin:{stop[1]}"], NEAR)  # type: ignore[arg-type]


def test_who_waits_for_whom(open_film: Callable[..., Page], tmp_path: Path) -> None:
    """A deadlock: the same ring in words, in a figure, in its SVG, and in the player, and marked in all."""
    run = showcase("batch_deadlock~B7", "batch_2mb")
    step = len(run.events)
    called = {words: name for name, words in wait_graph(Run(run).moment(step)).said.items()}
    words = re.sub(r"\s+", " ", text.waits(run, step))
    told: Pairs = set()
    for task, lock, holder in re.findall(
        r"((?!which)\b\w+) waits for (the page lock of f\d \(p\d\)), held by (\w+)", words
    ):
        told |= {(called[task], called[lock]), (called[lock], called[holder])}
    assert len(told) == 4
    assert "Deadlock: mover waits for" in words
    ends = {f"arrow:{one}:{other}": (one, other) for one, other in told}
    figure = render_waits(run, step)
    save(figure, tmp_path / "it.svg")
    boxes, pairs = in_svg(tmp_path / "it.svg", ends)
    things = {name for pair in told for name in pair}
    stuck = {f"stuck:{it}" for it in things}
    assert {*things, *ends, *stuck} <= artists(figure)
    assert {*things, *ends, *stuck} <= set(boxes)
    page = opened(open_film, run, step, graphs=True)
    marks, moving = in_player(page, "[data-graph=waits]", ends)
    assert {it for it in marks if it.startswith(("arrow:", "stuck:"))} == {*ends, *stuck}
    assert pairs == moving == told
    verdict = page.locator("[data-graph=waits] .rmw-verdict")
    assert verdict.inner_text().startswith("Deadlock: mover waits for")
    for key in ("g", "Home", "g"):  # what was closed and is opened again shows where the film is now
        page.keyboard.press(key)
    assert verdict.inner_text() == "Nobody waits."
    assert not [it for it in in_player(page, "[data-graph=waits]", ends)[0] if it.startswith(("arrow:", "stuck:"))]
