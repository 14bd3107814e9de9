"""Two runs beside each other, and what made the difference."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sim.engines.checker import check, nearest_passing
from sim.engines.stepper import Stepper, replay
from sim.errors import BadParameter, UserError
from vizlib.cli import main
from vizlib.compare import compare, counterexample
from vizlib.moments import Run
from vizlib.showcase import clocked, showcase


@pytest.fixture(scope="module")
def failing() -> str:
    """The run name of the checker's counterexample."""
    return check("stack_grows", "rfc_remap_unlocked").violations[0].run_name


def test_the_same_step_of_both_stands_at_one_place() -> None:
    """The axis is as long as the longer one; the shorter waits at its end."""
    one, other = replay("one_page mutex_v37 a9b3"), replay("one_page mutex_v37 a4")
    places = compare(one, other)["axis"]["places"]
    assert places == [[step, min(step, 4)] for step in range(13)]


def test_on_a_clock_what_happened_by_the_same_time_stands_together() -> None:
    """Three steps by 10, 20 and 60 ns; two by 20 and 50."""
    one, other = replay("one_page mutex_v37 a3"), replay("one_page mutex_v37 a2")
    axis = compare(one, other, times=([10, 20, 60], [20, 50]))["axis"]
    assert axis["at"] == [0, 10, 20, 50, 60]
    assert axis["places"] == [[0, 0], [1, 0], [2, 1], [2, 2], [3, 2]]
    with pytest.raises(UserError, match="a time is needed for each of 3 steps, and there are 2"):
        compare(one, other, times=([1, 2], [1, 2]))


def test_both_films_are_those_of_their_runs_at_common_places(failing: str) -> None:
    """A mark that both show stands at the same place in both."""
    made = compare(replay(failing), Stepper("stack_grows", "rfc_remap_unlocked", passes=2).finish().trace)
    left, right = made["compare"]
    assert [it["run_name"] for it in made["compare"]] == [failing, right["run_name"]]
    both = left["first"].keys() & right["first"].keys()
    assert len(both) > 20
    for name in both:
        assert [left["first"][name].get(it) for it in "xywh"] == [right["first"][name].get(it) for it in "xywh"], name


def test_the_counterexample_stands_beside_the_nearest_run_that_passes(failing: str) -> None:
    """The swaps are the search's; each that matters names both sentences and the field."""
    trace = replay(failing)
    made = counterexample(trace)
    wrong, right = made["compare"]
    assert wrong["violation"]["kind"] == "stale migration entry"
    assert right["violation"] is None
    turns = tuple((turn.task, turn.choice) for turn in trace.turns)
    found = nearest_passing(trace.world, trace.variant, trace.params, schedule=turns)
    assert found is not None
    assert right["run_name"] == found.run_name
    telling = [it for it in found.swaps if it.fields]
    assert len(made["why"]["swaps"]) == len(telling) > 0
    assert f"{len(found.swaps)} swaps" in made["why"]["sentence"]
    assert made["why"]["note"] == "", "all that matter are told"
    for swap, told in zip(telling, made["why"]["swaps"], strict=True):
        assert told["place"] == swap.earlier
        assert wrong["steps"][swap.later - 1]["sentence"].rstrip(".") in told["words"]
        assert all(f" of {it.ref}" in told["words"].partition("Both touch the ")[2] for it in swap.fields)


def test_the_objects_at_fault_are_marked(failing: str) -> None:
    """The frame, and the PTE that still names it."""
    marks = counterexample(replay(failing))["compare"][0]["violation"]["marks"]
    assert "page:f0" in marks
    assert any(it.startswith("pte:P:") for it in marks)


def test_a_run_in_which_nothing_goes_wrong_has_no_counterpart() -> None:
    """It is refused with the reason."""
    with pytest.raises(BadParameter, match="nothing goes wrong in move_pages"):
        counterexample(showcase("move_pages"))


def test_runs_without_a_name_meet_where_the_two_kernels_differ(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Beside each other by their variants alone: a mutex keeps the second walk waiting, a rwsem does not."""
    runs = ["two_migrators mutex_v37", "two_migrators rwsem_v38"]
    assert main(["beside", *runs, "--json", "-o", str(tmp_path / "both.html")]) == 0
    traces = [replay(it) for it in json.loads(capsys.readouterr().out)["runs"]]
    waited_for = [
        {str(run.waits_for(it, step)) for it in run.actors for step in range(run.length)} for run in map(Run, traces)
    ]
    assert ["A_heap.mutex" in waited_for[0], "A_heap.rwsem" in waited_for[1]] == [True, False]


def test_two_runs_share_a_clock_if_asked_to(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a schedule the clock decides who goes next; with one, costs are charged along it."""
    worlds = ["two_migrators mutex_v37", "two_migrators rwsem_v38"]
    assert main(["beside", *worlds, "--clock", "--json", "-o", str(tmp_path / "both.html")]) == 0
    said = json.loads(capsys.readouterr().out)
    names = said["runs"]
    assert said["axis"] == "the same simulated time in both"
    for world, name in zip(worlds, names, strict=True):
        assert name.startswith(world.replace(" ", "?passes=2 "))
        (by_clock, times), (by_name, charged) = clocked(world), clocked(name)
        assert by_clock.run_name == by_name.run_name == name
        assert len(times) == len(charged) == len(by_clock.events)
        assert times == sorted(times)
        assert charged == sorted(charged)
    assert main(["beside", worlds[0], "--clock", "-o", "x.html"]) == 2
    assert "--clock is for two runs" in capsys.readouterr().err
