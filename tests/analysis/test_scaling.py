"""Runs against threads beside theory: what is drawn into one chart agrees with what it is drawn from."""

from __future__ import annotations

from math import inf

from sim.analysis.demands import Prediction, predict
from sim.analysis.scaling import Scaling, scaling
from sim.analysis.theory import usl
from sim.engines.timed import run
from tests.analysis.test_staircase import Here
from vizlib.charting import CHARTS


def measured(policy: str = "handoff") -> Scaling:
    """numa02 with a few threads of a few pages."""
    return scaling("numa02", "mutex_v37", (4, 1, 2), policy=policy, executor=Here(), pages=3, nodes=2)


def test_each_number_of_threads_has_its_run_and_what_theory_says_of_it() -> None:
    """In order, whatever the order in which they were asked for; the law is the one through the runs."""
    found = measured()
    assert list(found.simulated) == list(found.said) == [1, 2, 4]
    for number, speed in found.simulated.items():
        assert speed == run("numa02", "mutex_v37", threads=number, pages=3, nodes=2).pages_per_second
        said = predict("numa02", "mutex_v37", threads=number, pages=3, nodes=2)
        assert found.said[number] == said
        assert found.theory["theory: exact MVA"][number] == said.pages_per_second
    assert found.law == usl(found.simulated.items())


def test_the_knee_is_where_the_slowest_resource_is_always_busy() -> None:
    """As often as its demand goes into the time for which one thread is under way alone, and at least one thread."""
    assert Prediction(0, 0, 0, "", {"lock": 20.0, "copies": 10.0}, 100.0).knee == 5
    assert Prediction(0, 0, 0, "", {"lock": 200.0}, 100.0).knee == 1
    found = measured()
    assert found.knee == found.said[4].knee


def test_where_chance_decides_there_is_no_curve_but_a_band() -> None:
    """Neither in the chart nor in the numbers; and it is said."""
    found = measured("steal")
    assert list(found.theory) == ["scalability law, fitted"]
    assert list(found.bounds) == [1, 2, 4]
    assert "a range, since chance decides who gets a lock" in str(found)
    assert {it["mva"] for it in found.to_json()["rows"]} == {None}


def test_the_chart_shows_every_curve_that_there_is() -> None:
    """Points, mean values, the law, the band between the bounds, and the knee if it lies on the chart."""
    found = measured()
    axes = CHARTS["scaling"].draw(found, "light").axes[0]
    names = {it.get_text() for it in axes.get_legend().get_texts()}
    assert names == {"simulated", *found.theory, "between the bounds", f"knee: {found.knee:.1f}"}


def test_where_theory_says_nothing_the_runs_stand_alone() -> None:
    """numa01's threads all move the same pages; with two numbers of threads there is no law either."""
    found = scaling("numa01", "mutex_v37", (2, 4), executor=Here(), pages=8)
    assert (found.said, found.theory, found.knee, found.law) == ({}, {}, inf, None)
    assert "theory says nothing here" in str(found)
