"""Charts: each returns a figure, takes axes, is the same every time, and has a text twin."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from typing import Any

import pytest
from matplotlib.figure import Figure

from vizlib import charts

SERIES = {"mutex_v37": {1: 100.0, 2: 150.0, 4: 160.0}, "rwsem_v38": {1: 100.0, 2: 190.0, 4: 350.0}}
THEORY = {"MVA": {1: 100.0, 2: 160.0, 4: 170.0}}
WAITS = {"mutex_v37": [10.0, 20, 20, 4000], "rwsem_v38": [5.0, 10]}
GRID = {"a waits": {"a": 0, "b": 3}, "b waits": {"a": 12.5}}
STEPS = {"moved": [(0.0, 0.0), (10.0, 1.0), (40.0, 2.0)]}
CHAINS = {("schedule", "mutex_lock", "rmap_walk"): 50.61, ("schedule", "mutex_lock", "try_to_unmap_anon"): 49.39}

EVERY: dict[str, Callable[..., Figure]] = {
    "curves": lambda **how: charts.curves(SERIES, **how),
    "throughput": lambda **how: charts.throughput(SERIES, THEORY, bounds={1: (90, 110), 4: (100, 400)}, **how),
    "utilisation": lambda **how: charts.utilisation({"lock": {1: 0.2, 2: 0.4, 4: 0.9}}, **how),
    "waits": lambda **how: charts.waits(WAITS, **how),
    "heatmap": lambda **how: charts.heatmap(GRID, **how),
    "staircase": lambda **how: charts.staircase(STEPS, **how),
    "profile_tree": lambda **how: charts.profile_tree(CHAINS, **how),
    "bars": lambda **how: charts.bars({"one": 60.0, "two": 40.0}, **how),
}


def drawn(figure: Figure) -> bytes:
    """The picture's bytes."""
    out = BytesIO()
    figure.savefig(out, format="png", metadata={"Software": None})
    return out.getvalue()


@pytest.mark.parametrize("name", EVERY)
def test_the_same_numbers_are_the_same_bytes(name: str) -> None:
    """Drawn twice."""
    assert drawn(EVERY[name](title="title")) == drawn(EVERY[name](title="title"))


@pytest.mark.parametrize("name", EVERY)
def test_it_draws_into_axes_of_ones_own_and_in_the_dark(name: str) -> None:
    """The figure that comes back is the axes' own, with something in it."""
    figure = Figure()
    axes = figure.add_subplot()
    assert EVERY[name](ax=axes, mode="dark") is figure
    artists: list[Any] = [*axes.lines, *axes.patches, *axes.images, *axes.collections]
    assert artists


def test_the_twin_of_throughput_says_how_far_it_is_from_theory() -> None:
    """In per cent, with a sign."""
    lines = charts.throughput_table(SERIES, THEORY).splitlines()
    assert lines[0].split("  ")[0] == "threads"
    assert lines[2].split() == ["2", "150", "190", "160", "-6.2", "%", "+18.8", "%"]


def test_the_twin_of_waits_names_the_quantiles() -> None:
    """Half were over within 20 ns, all within 4,000."""
    assert charts.waits_table(WAITS).splitlines()[1].split() == ["mutex_v37", "4", "20", "4,000", "4,000", "4,000"]
    assert charts.waits_table(WAITS).splitlines()[2].split() == ["rwsem_v38", "2", "5", "10", "10", "10"]


def test_the_twin_of_a_heat_map_is_its_numbers() -> None:
    """A dot where there is nothing."""
    assert [line.split() for line in charts.heatmap_table(GRID).splitlines()] == [
        ["a", "b"],
        ["a", "waits", "·", "3"],
        ["b", "waits", "12.5", "·"],
    ]


def test_the_twin_of_a_staircase_holds_each_value_until_the_next() -> None:
    """At 0, 20 and 40 ns."""
    assert [line.split() for line in charts.staircase_table(STEPS, rows=3).splitlines()[1:]] == [
        ["0", "0"],
        ["20", "1"],
        ["40", "2"],
    ]


def test_the_twin_of_a_profile_is_a_tree_with_shares() -> None:
    """What chains have in common stands once."""
    assert charts.profile_text(CHAINS).splitlines() == [
        "100.00 %  schedule",
        "100.00 %     mutex_lock",
        " 50.61 %        rmap_walk",
        " 49.39 %        try_to_unmap_anon",
    ]


def test_the_twin_of_bars_is_their_parts() -> None:
    """With names or without; a dot where there is nothing."""
    assert charts.bars_table({"one": 60.0, "two": 40.0}).split() == ["one", "two", "60", "%", "40", "%"]
    lines = charts.bars_table({"v37": {"walk": 50.61, "unmap": 49.39}, "v38": {"unmap": 100.0}}).splitlines()
    assert [line.split() for line in lines[1:]] == [["v37", "50.61", "%", "49.39", "%"], ["v38", "·", "100", "%"]]


def test_the_twin_of_lanes_is_who_does_what_when() -> None:
    """Row by row, in order of time; whoever has no row is left out."""
    its = [
        {"task": "b", "from": 2, "to": 6, "kind": "wait", "label": "mmap_sem"},
        {"task": "a", "from": 4, "to": 4, "kind": "flush"},
        {"task": "a", "from": 0, "to": 5, "kind": "hold", "label": "mmap_sem"},
        {"task": "c", "from": 0, "to": 5, "kind": "run"},
    ]
    assert [line.split() for line in charts.lanes_table(["a", "b"], its).splitlines()[1:]] == [
        ["a", "holds", "mmap_sem", "0", "5"],
        ["a", "flush", "4", "4"],
        ["b", "waits", "for", "mmap_sem", "2", "6"],
    ]


def test_many_names_stand_beside_the_points_and_hide_none() -> None:
    """Eight series: the legend begins where the axes end."""
    many = {f"series {it}": SERIES["mutex_v37"] for it in range(8)}
    axes = charts.throughput(many, THEORY).axes[0]
    legend = axes.get_legend()
    assert legend is not None
    assert legend.get_window_extent().x0 >= axes.get_window_extent().x1
