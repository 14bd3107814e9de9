"""Sweeps: every point once, on any executor, resumable, and the same whoever computes it."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

from sim.__main__ import main
from sim.analysis.sweep import Table, costs_of, each_cost, grid, measured, notebook_bar, sweep
from sim.engines.costs import DEFAULT, ROWS
from sim.engines.timed import run
from sim.errors import BadParameter, UnknownName, UserError

POINTS = grid(world="numa02", variant=["mutex_v37", "rwsem_v38"], threads=[1, 2], pages=2, nodes=2)


class Here(Executor):
    """Does the work when it is handed in, and remembers what that was."""

    def __init__(self) -> None:
        self.done: list[Any] = []

    def submit(self, function: Any, /, *args: Any, **named: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self.done.append(args[0])
        try:
            future.set_result(function(*args, **named))
        except Exception as error:
            future.set_exception(error)
        return future


def double(point: dict[str, Any]) -> dict[str, Any]:
    """A measurement that is no run."""
    return {"double": 2 * point["x"]}


def test_a_grid_has_every_combination_in_order() -> None:
    """The last axis goes round fastest; what is no list is the same everywhere."""
    assert [(it["variant"], it["threads"]) for it in POINTS] == [
        ("mutex_v37", 1), ("mutex_v37", 2), ("rwsem_v38", 1), ("rwsem_v38", 2),
    ]  # fmt: skip
    assert all(it["pages"] == 2 for it in POINTS)


def test_a_point_says_what_its_run_says() -> None:
    """Throughput and counts are those of the engine."""
    table = sweep(POINTS, executor=Here())
    for row in table:
        timed = run("numa02", row["variant"], threads=row["threads"], pages=2, nodes=2)
        assert (row["elapsed_ns"], row["pages_per_second"]) == (timed.elapsed_ns, timed.pages_per_second)
        assert {name: row[name] for name in timed.counts} == timed.counts


@pytest.mark.parametrize("kind", ["threads", "processes", "default"])
def test_every_executor_gives_the_same_table(kind: str) -> None:
    """Threads, fresh processes, the pool that is made if none is given: the same rows in the same order."""
    expected = list(sweep(POINTS, executor=Here()))
    if kind == "default":
        assert list(sweep(POINTS)) == expected
        return
    fresh = get_context("spawn")
    with ThreadPoolExecutor(2) if kind == "threads" else ProcessPoolExecutor(2, mp_context=fresh) as executor:
        assert list(sweep(POINTS, executor=executor)) == expected


def test_what_the_file_has_is_not_measured_again(tmp_path: Path) -> None:
    """A second sweep measures only what is new, and both are in the file."""
    path, first, second = tmp_path / "rows.jsonl", Here(), Here()
    sweep(grid(x=[1, 2]), measure=double, executor=first, path=path)
    table = sweep(grid(x=[2, 3, 1]), measure=double, executor=second, path=path)
    assert ([it["x"] for it in first.done], [it["x"] for it in second.done]) == ([1, 2], [3])
    assert table.column("double") == [4, 6, 2]
    lines = [json.loads(it) for it in path.read_text().splitlines()]
    assert [(it["point"]["x"], it["result"]["double"]) for it in lines] == [(1, 2), (2, 4), (3, 6)]


def test_a_line_that_was_cut_short_is_measured_again(tmp_path: Path) -> None:
    """Whoever was killed while it wrote loses that point and nothing else."""
    path = tmp_path / "rows.jsonl"
    sweep(grid(x=[1, 2]), measure=double, executor=Here(), path=path)
    whole = path.read_text()
    path.write_text(whole[:-10])
    again = Here()
    assert sweep(grid(x=[1, 2]), measure=double, executor=again, path=path).column("double") == [2, 4]
    assert [it["x"] for it in again.done] == [2]
    assert path.read_text() == whole


def test_the_results_of_another_measurement_are_not_taken_for_these(tmp_path: Path) -> None:
    """One file may hold several sweeps."""

    def triple(point: dict[str, Any]) -> dict[str, Any]:
        return {"double": 3 * point["x"]}

    path = tmp_path / "rows.jsonl"
    assert sweep(grid(x=[1]), measure=double, executor=Here(), path=path).column("double") == [2]
    assert sweep(grid(x=[1]), measure=triple, executor=Here(), path=path).column("double") == [3]


def test_a_sweep_that_is_stopped_keeps_what_it_has(tmp_path: Path) -> None:
    """Ctrl-C in the middle: the file has what was done, what had not begun is cancelled, and it goes on from there."""
    path = tmp_path / "rows.jsonl"

    def stop(done: int, _: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sweep(grid(x=[1, 2, 3, 4]), measure=double, executor=Here(), path=path, progress=stop)
    assert len(path.read_text().splitlines()) == 2
    again = Here()
    sweep(grid(x=[1, 2, 3, 4]), measure=double, executor=again, path=path)
    assert len(again.done) == 2


def test_progress_counts_to_the_end(tmp_path: Path) -> None:
    """From what the file has already to all points; a point that is asked for twice is one."""
    told: list[tuple[int, int]] = []
    path = tmp_path / "rows.jsonl"
    sweep(grid(x=[1]), measure=double, executor=Here(), path=path)
    sweep(grid(x=[1, 2, 2, 3]), measure=double, executor=Here(), path=path, progress=lambda *it: told.append(it))
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_bad_points_and_files_are_refused_in_a_sentence(tmp_path: Path) -> None:
    """Which point, which line, what is wrong."""
    with pytest.raises(BadParameter, match=r"'nodes': 99.*cannot be measured"):
        sweep([{"world": "numa02", "nodes": 99}], executor=Here())
    with pytest.raises(UserError, match="needs a world"):
        sweep([{"pages": 1}], executor=Here())
    path = tmp_path / "other.txt"
    path.write_text("{}\nhello\n")
    with pytest.raises(UserError, match=r"other.txt line 1 is no result"):
        sweep(POINTS, executor=Here(), path=path)
    with pytest.raises(UnknownName, match="pages_per_second"):
        sweep(POINTS[:1], executor=Here()).column("pages_per_secon")


def test_costs_are_multiplied_row_by_row() -> None:
    """One row, all rows, or a row that there is not."""
    assert costs_of({})["copy_page"] == DEFAULT["copy_page"]
    assert costs_of({"copy_page": 3})["copy_page"] == 3 * DEFAULT["copy_page"]
    both = costs_of({"*": 2, "copy_page": 3})
    assert (both["copy_page"], both["atomic"]) == (6 * DEFAULT["copy_page"], 2 * DEFAULT["atomic"])
    with pytest.raises(UnknownName, match="copy_page"):
        costs_of({"copy_pag": 2})
    assert len(each_cost()) == 1 + 2 * len(ROWS)


def test_the_table_is_markdown() -> None:
    """Columns as asked, numbers with their thousands."""
    text = Table([{"x": 1, "costs": {"*": 3}}, {"x": 2, "costs": {}}], [{"y": 1234.5}, {"y": None}]).text(
        "x", "y", "costs"
    )
    assert text.splitlines() == [
        "| x | y        | costs       |",
        "| - | -------- | ----------- |",
        "| 1 | 1,234.50 | * x 3       |",
        "| 2 |          | as they are |",
    ]


def test_the_notebook_bar_moves() -> None:
    """It is an ipywidgets bar; nothing of it is needed in a terminal."""
    pytest.importorskip("ipywidgets")
    tell = notebook_bar("runs")
    tell(2, 8)
    (bar,) = [cell.cell_contents for cell in tell.__closure__ if type(cell.cell_contents).__name__ == "IntProgress"]  # type: ignore[union-attr]
    assert (bar.value, bar.max, bar.description) == (2, 8, "runs 2/8")
    assert bar.style.description_width == "initial", "a long title would be cut off"


def test_the_command_prints_a_row_a_point(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Axes on the command line; results to a file; a wrong axis is one line and exit code 2."""
    path = tmp_path / "rows.jsonl"
    command = ["sweep", "numa02", "variant=mutex_v37,rwsem_v38", "threads=1,2", "pages=2"]
    assert main([*command, "-o", str(path), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert [(it["variant"], it["threads"]) for it in rows] == [(it["variant"], it["threads"]) for it in POINTS]
    assert len(path.read_text().splitlines()) == 4
    for axis, told in (("threads", "no axis"), ("threads=x", "no whole number"), ("policy=stael", "nearest: steal"),
                       ("thread=1", "nearest: threads"), ("threads=129", "not allowed")):  # fmt: skip
        assert main(["sweep", "numa02", axis]) == 2
        assert told in capsys.readouterr().err


@pytest.fixture
def cluster() -> Iterator[Executor]:
    """The executor of a Dask cluster of two processes on this machine."""
    if importlib.util.find_spec("distributed") is None:
        pytest.skip("dask.distributed is not installed: pip install 'rmapwalk[dask]'")
    from distributed import Client, LocalCluster

    where = {"host": "127.0.0.1", "dashboard_address": None}
    with LocalCluster(n_workers=2, threads_per_worker=1, processes=True, **where) as local, Client(local) as client:
        client.wait_for_workers(2)
        assert len(client.scheduler_info()["workers"]) == 2
        yield client.get_executor()


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_a_dask_cluster_gives_the_same_table(cluster: Executor, tmp_path: Path) -> None:
    """Two real worker processes; the rows and the file are those of a run here."""
    path = tmp_path / "rows.jsonl"
    assert list(sweep(POINTS, executor=cluster, path=path)) == [{**it, **measured(it)} for it in POINTS]
    assert len(path.read_text().splitlines()) == len(POINTS)
