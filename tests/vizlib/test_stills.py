"""Stills and charts with matplotlib: everything is there, legible, and the same bytes every time."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

import vizlib
from sim.ops import SendIpi
from tests.vizlib import runs
from vizlib import charts, layout
from vizlib.lanes import lanes
from vizlib.moments import Run
from vizlib.renderers.mpl import draw, render, save, scene_at
from vizlib.stills import Stage


def svg(tmp_path: Path, name: str, step: int | None = None, **options: str) -> str:
    """A still of one_page as SVG."""
    path = tmp_path / f"{name}.svg"
    save(render(runs.trace(), step, **options), path)  # type: ignore[arg-type]  # mode
    return path.read_text(encoding="utf-8")


def test_a_still_is_the_same_bytes_every_time(tmp_path: Path) -> None:
    """No date, no random ids, no name of a program."""
    one, other = svg(tmp_path, "one", 40), svg(tmp_path, "other", 40)
    assert one == other
    assert "<dc:date>" not in one
    png = tmp_path / "a.png", tmp_path / "b.png"
    for path in png:
        save(render(runs.trace(), 40), path)
    assert png[0].read_bytes() == png[1].read_bytes()


def test_a_still_has_the_words_of_the_scene(tmp_path: Path) -> None:
    """Text stays text: the sentence, the threads, the locks, the source line, the step."""
    step = runs.step_of(runs.trace(), SendIpi)
    found = svg(tmp_path, "still", step)
    for words in ("migrator sends an interrupt to CPU 1", "smp_call_function_many", "yield SendIpi(mm, start, end)",
                  "anon_vma lock of A_heap", "interrupt pending: drop p0", f"step {step} of"):  # fmt: skip
        assert words in found, words


def test_dark_and_light_differ_only_in_colour(tmp_path: Path) -> None:
    """The same shapes and words."""
    light, dark = svg(tmp_path, "light", 40), svg(tmp_path, "dark", 40, mode="dark")
    assert light != dark
    bare = [re.sub(r"#[0-9a-f]{6}|id=\"\w+\"|url\(#\w+\)|href=\"#\w+\"", "", it) for it in (light, dark)]
    assert bare[0] == bare[1]


@pytest.mark.parametrize("name", runs.NAMES, ids=" ".join)
def test_everything_stands_on_the_page(name: tuple[str, str]) -> None:
    """No mark of a still leaves its panel's column, or the page."""
    run = runs.trace(*name)
    for step in (0, len(run.events) // 2, len(run.events)):
        it = scene_at(run, step)
        panels = {panel.id: panel for panel in it.panels}
        for mark in it.marks.values():
            panel = panels[mark.panel]
            if mark.shape == "arrow" or panel.inside:
                continue
            assert -1 <= mark.x <= mark.x + mark.w <= panel.w + 1, mark.id
            assert -layout.TITLE <= mark.y <= mark.y + mark.h <= panel.h + 1, mark.id
        assert max(panel.x + panel.w for panel in it.panels if not panel.inside) <= layout.WIDTH


CROWDED = ("numa_only", "numa02?threads=6,pages=1,nodes=4", "move_pages?pages=9,spinners=8")


@pytest.mark.parametrize("world", ["one_page", *CROWDED])
def test_words_fit_their_boxes(world: str) -> None:
    """As measured with the real font: no word of a still leaves the box that it stands in."""
    run = runs.trace(world)
    for step in (len(run.events) // 3, len(run.events) // 2):
        it = scene_at(run, step)
        figure = draw(it)
        renderer = FigureCanvasAgg(figure).get_renderer()
        drawn = figure.axes[0].texts
        widths = {text.get_text(): text.get_window_extent(renderer).width * 100 / figure.dpi for text in drawn}
        for mark in it.marks.values():
            if mark.shape in ("rect", "pill", "token") and mark.w and not mark.id.startswith(("key:", "lane:", "head")):
                for line in mark.text:
                    room = mark.x + mark.w - line.x if line.anchor == "start" else mark.w
                    assert widths[line.s] <= room + 3, (mark.id, line.s)
        for panel in it.panels:
            if panel.inside:
                both = widths.get(panel.title, 0) + widths.get(panel.note, 0)
                assert both <= panel.w - 24, (panel.id, panel.title, panel.note)


def test_a_picture_shows_itself_in_a_notebook() -> None:
    """Also where pyplot was never imported, the same bytes each time."""
    figure = charts.curves(SERIES)
    assert figure._repr_png_().startswith(b"\x89PNG")
    assert figure._repr_png_() == charts.curves(SERIES)._repr_png_()


def test_a_step_that_does_not_exist_is_refused() -> None:
    """As the text renderer refuses it."""
    with pytest.raises(IndexError, match="step -1 is not between 0 and"):
        scene_at(runs.trace(), -1)
    assert vizlib.still(runs.trace(), 3).get_figwidth() == layout.WIDTH / 100


# --- charts ------------------------------------------------------------------------------------------------

SERIES = {"mutex_v37": {1: 100.0, 2: 190.0, 8: 400.0}, "rwsem_v38": {1: 99.0, 2: 195.0, 8: 780.0}}


def chart(path: Path, figure: object) -> str:
    charts.save_chart(figure, path)  # type: ignore[arg-type]  # a Figure
    return path.read_text(encoding="utf-8")


def test_curves_name_each_line_at_its_end(tmp_path: Path) -> None:
    """And say "simulated" on the axis; twice the same is the same bytes."""
    found = [chart(tmp_path / f"{it}.svg", charts.curves(SERIES, limits={"one lock": 430})) for it in "ab"]
    assert found[0] == found[1]
    for words in ("mutex_v37", "rwsem_v38", "one lock", "simulated"):
        assert words in found[0]


def test_curves_differ_by_more_than_colour() -> None:
    """Each line has a marker and a dash pattern of its own."""
    lines = charts.curves(SERIES).axes[0].lines
    assert len({(line.get_marker(), line.get_linestyle()) for line in lines}) == len(SERIES)


def test_labels_of_lines_that_meet_stand_apart() -> None:
    """Two lines that end at one height have names that do not cover each other."""
    same = {"a": {1: 1.0, 2: 5.0}, "b": {1: 2.0, 2: 5.0}}
    heights = sorted(note.xy[1] for note in charts.curves(same).axes[0].texts)  # type: ignore[attr-defined]  # annotations
    assert heights[1] - heights[0] > 0.2


def test_bars_print_their_shares(tmp_path: Path) -> None:
    """The numbers stand on the bars, the parts in the legend."""
    found = chart(tmp_path / "bars.svg", charts.bars({"page_lock_anon_vma": 50.61, "rmap_walk_anon": 49.39}))
    for words in ("50.61 %", "49.39 %", "page_lock_anon_vma", "rmap_walk_anon"):
        assert words in found


def test_lanes_have_a_row_a_thread(tmp_path: Path) -> None:
    """With the bars of the film."""
    run = Run(runs.trace())
    its = lanes(run, run.length).bars
    figure = charts.lanes(["migrator", "worker"], its, length=run.length)
    assert [it.get_text() for it in figure.axes[0].get_yticklabels()] == ["migrator", "worker"]
    assert len(figure.axes[0].patches) == len(its)
    assert Stage(run).panels


def test_a_table_is_the_text_twin() -> None:
    """Aligned, one row an x, with nothing where a series has no point."""
    assert charts.table({"a": {1: 10.0, 2: 2000.0}, "b": {2: 3.0}}).splitlines() == [
        "threads      a  b",
        "      1     10   ",
        "      2  2,000  3",
    ]
