"""Controls for a notebook: what they measure is what a run measures, and what they store is text."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
from functools import cache
from pathlib import Path
from typing import Any

import nbformat
import pytest

import vizlib
from sim.analysis.demands import Prediction, predict
from sim.analysis.kept import kept
from sim.engines.timed import run
from sim.errors import UserError
from vizlib.controls import Tuning, tune
from vizlib.foretold import Picture, foretold

SMALL: dict[str, Any] = {"threads": (1, 4), "pages": 2}


@cache
def turned() -> Tuning:
    """Two points measured: one at the start, one after two controls were turned."""
    return tune(**SMALL).set(variant="rwsem_v38", threads=4)


def test_a_point_is_the_run_with_these_parameters() -> None:
    """As the timed engine measures it."""
    rows = list(turned().table)
    assert [(row["variant"], row["threads"]) for row in rows] == [("mutex_v37", 1), ("rwsem_v38", 4)]
    for row in rows:
        timed = run("numa02", row["variant"], policy="handoff", threads=row["threads"], pages=2)
        assert (row["elapsed_ns"], row["pages_per_second"]) == (timed.elapsed_ns, timed.pages_per_second)


def test_a_turned_control_measures_and_the_same_point_is_measured_once() -> None:
    """As a click does it: the value changes, and with it the table, the sentence and the picture."""
    it = tune(**SMALL)
    slider = it._controls["threads"]
    slider.value = 3
    slider.value = 1
    assert it.table.column("threads") == [1, 3]
    assert f"{it.table.column('pages_per_second')[0]:,.0f} pages/s" in it._said.value
    assert "alt='numa02: pages per second against threads" in it._shown.value


def test_an_answer_from_shorter_runs_says_so() -> None:
    """And one from the run itself does not."""
    it = tune(threads=(1, 2), pages=40)
    assert (
        "1 thread, mutex_v37, handoff (extrapolated from shorter runs, which lie on a line exactly)" in it._said.value
    )
    assert "extrapolated" not in tune(**SMALL)._said.value


def test_the_whole_curve_doubles_to_the_end() -> None:
    """And every variant and policy has a curve of its own."""
    it = tune(threads=(1, 6), pages=1).curve()
    assert it.table.column("threads") == [1, 2, 4, 6]
    it.set(policy="steal")
    assert {name: sorted(points) for name, points in it.series().items()} == {
        "mutex_v37 handoff": [1, 2, 4, 6],
        "mutex_v37 steal": [6] if it._point()["threads"] == 6 else [1],
    }


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"world": "numa2"}, "no world is called 'numa2'; nearest: numa02"),
        ({"variant": "mutex"}, "nearest: mutex_v37"),
        ({"policy": "hand"}, "no policy is called 'hand'; nearest: handoff"),
        ({"threads": 4}, "nothing can be turned: give a parameter a range"),
        ({"threads": (4, 4)}, r"threads=\(4, 4\) is no range"),
        ({"threads": (1, 999)}, "threads=999 is not allowed in numa02: 1 to 128"),
        ({"thread": (1, 4)}, "no parameter of world numa02 is called 'thread'; nearest: threads"),
    ],
)
def test_what_cannot_be_turned_is_refused_in_a_sentence(options: dict[str, Any], words: str) -> None:
    """Before anything is measured."""
    with pytest.raises(UserError, match=words):
        tune(**options)


def test_a_value_that_a_control_does_not_take_changes_nothing() -> None:
    """The sentence names the bounds."""
    before = turned().text()
    for values, words in (
        ({"threads": 9}, "threads=9 is not allowed: 1 to 4"),
        ({"pages": 3}, "no control is called 'pages'"),
    ):
        with pytest.raises(UserError, match=words):
            turned().set(**values)
    assert turned().text() == before


def test_a_run_that_is_interrupted_leaves_what_was_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C, or the notebook's stop button, while a point is measured."""
    it = tune(**SMALL)

    def interrupted(point: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr("vizlib.controls.kept", interrupted)
    it._controls["threads"].value = 3
    assert "Stopped; what was measured before is kept." in it._said.value
    assert len(it.table) == 1


def test_a_turned_control_is_answered_by_theory_first_and_then_by_the_simulation() -> None:
    """In a notebook's event loop: the theory stands there when the control has been turned, the simulation later."""

    async def turn() -> tuple[str, str, str]:
        it = tune(threads=(1, 8), pages=2)
        it._controls["threads"].value = 4
        said, shown = it._said.value, it._shown.value
        assert it.table.column("threads") == [1]
        while it._following:
            await asyncio.gather(*it._following)
        assert it.table.column("threads") == [1, 4]
        assert "theory" not in it._shown.value
        return said, shown, it._said.value

    said, shown, then = asyncio.run(turn())
    theory = predict("numa02", threads=4, pages=2)
    assert theory is not None
    assert f"<b>about {theory.pages_per_second:,.0f} pages/s</b> says theory" in said
    assert "the simulation follows: 4 threads, mutex_v37, handoff" in said
    assert f"theory: {theory.pages_per_second:,.0f}" in shown
    assert f"<b>{run('numa02', threads=4, pages=2).pages_per_second:,.0f} pages/s</b>, simulated" in then


def test_of_two_turns_the_last_is_shown_and_the_other_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Though the first one's simulation comes first: it does not take the place of the second one's theory."""
    go = threading.Event()

    def held_up(point: Any) -> Any:
        return kept(point) if point["threads"] != 2 or go.wait(60) else None

    async def turn() -> tuple[Tuning, str]:
        it = tune(threads=(1, 8), pages=1)
        monkeypatch.setattr("vizlib.controls.kept", held_up)
        it._controls["threads"].value = 3
        (first,) = it._following
        it._controls["threads"].value = 2
        await first
        meanwhile = it._said.value
        go.set()
        await asyncio.gather(*it._following)
        return it, meanwhile

    it, meanwhile = asyncio.run(turn())
    assert "the simulation follows: 2 threads" in meanwhile
    assert it.table.column("threads") == [1, 3, 2]
    assert "simulated: 2 threads" in it._said.value


def test_without_threads_the_simulation_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a browser."""

    async def no_thread(*_: Any) -> None:
        raise RuntimeError("can't start new thread")

    async def turn() -> Tuning:
        it = tune(threads=(1, 8), pages=1)
        monkeypatch.setattr(asyncio, "to_thread", no_thread)
        it._controls["threads"].value = 3
        await asyncio.gather(*it._following)
        return it

    assert asyncio.run(turn()).table.column("threads") == [1, 3]


def test_theory_stands_in_the_picture_where_the_simulation_will_and_at_its_edge_if_beyond() -> None:
    """With an arrow; and between the bounds there is a bar."""
    said = Prediction(50.0, 80.0, 20.0, "", {}, 0.0)
    within = foretold(Picture(b"", 200, 120, 10, 10, 190, 110, lambda x, y: (10 * x, 110 - y)), 5, said)
    assert "cx='50.0' cy='60.0'" in within
    assert "M50.0 90.0V30.0" in within
    assert ">theory: 50</text>" in within
    beyond = foretold(Picture(b"", 200, 120, 10, 70, 190, 110, lambda x, y: (10 * x, 110 - y)), 25, said)
    assert "cx='190.0' cy='70.0'" in beyond
    assert ">theory: 50 \N{UPWARDS ARROW}\N{RIGHTWARDS ARROW}</text>" in beyond


def test_where_chance_decides_who_gets_a_lock_theory_says_a_range_only() -> None:
    """Under stealing and under sleeping: no number stands beside the controls, and no mark in the picture."""
    for policy, number in (("handoff", True), ("steal", False), ("sleep", False)):
        it = tune(threads=(1, 4), pages=2, policy=policy)
        said = it.foretell()
        assert said is not None
        between = f"{said.at_least:,.0f} to {said.at_most:,.0f}"
        assert (f"<b>{between} pages/s</b> says theory" in it._said.value) is not number
        assert (f"<b>about {said.pages_per_second:,.0f} pages/s</b> says theory ({between}" in it._said.value) is number
        drawn = foretold(Picture(b"", 200, 120, 10, 10, 190, 110, lambda x, y: (10 * x, 110 - y)), 5, said)
        assert ("<circle" in drawn) is number
        assert (f">theory: {between}" in drawn) is not number


def test_where_theory_says_nothing_the_sentence_says_what_is_measured() -> None:
    """As before."""
    it = tune("move_pages", pages=(1, 4))
    it.show(pages=3)
    assert it.foretell() is None
    assert "measuring 3 pages, mutex_v37, handoff" in it._said.value


def test_what_a_notebook_stores_is_text(tmp_path: Path) -> None:
    """Run from a clean file and checked by strict nbval: the same text, and no state of a widget in the file."""
    cell = "import vizlib\n\nvizlib.tune(threads=(1, 2), pages=1)"
    path = tmp_path / "controls.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell)]), path)
    execute = ["nbconvert", "--to", "notebook", "--execute", "--inplace"]
    keep = "--ExecutePreprocessor.store_widget_state=False"
    subprocess.run([sys.executable, "-m", *execute, keep, str(path)], check=True, capture_output=True)
    stored = json.loads(path.read_text(encoding="utf-8"))
    assert "widgets" not in stored["metadata"]
    (output,) = stored["cells"][0]["outputs"]
    assert "".join(output["data"]["text/plain"]) == vizlib.tune(threads=(1, 2), pages=1).text()
    check = ["pytest", "-q", "--nbval", "--nbval-current-env", "-p", "no:cacheprovider", "-c", "/dev/null", str(path)]
    done = subprocess.run([sys.executable, "-m", *check], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    assert "1 passed" in done.stdout
