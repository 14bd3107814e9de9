"""Tables in files: what a command found, read back by readers that we did not write."""

from __future__ import annotations

import csv
import io
import json
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from pyarrow import csv as arrow_csv
from pyarrow import feather

from course.progress import COURSE
from sim.cli import main
from sim.cli.tabular import as_csv, columns, flat

RECORDED = COURSE / "recorded" / "trace-6.1.txt"

COMMANDS = {
    "trace": ["replay", "one_page mutex_v37 a52b13da57b12"],
    "sweep": ["sweep", "numa02", "variant=mutex_v37,rwsem_v38", "threads=1,2", "pages=2"],
    "lockstat": ["lockstat", "numa02", "--variant", "mutex_v37", "--threads", "2", "--pages", "2"],
    "staircase": ["staircase", "--rungs", "mutex_v37", "--threads", "1", "2", "--pages", "4"],
    "batches": ["batches", "--sizes", "1", "4", "--pages", "8"],
    "convergence": ["convergence", "numa02", "--variant", "mutex_v37", "--threads", "2", "--pages", "2"],
    "recorded": ["recorded", str(RECORDED)],
    "chains": ["recorded", str(RECORDED), "--profile"],
}


class Tables(NamedTuple):
    """A folder with the same table as CSV and as Arrow, of which command, and what that said as JSON."""

    name: str
    folder: Path
    said: Any


@pytest.fixture(scope="module", params=COMMANDS)
def tables(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Tables:
    """What one command found."""
    folder = tmp_path_factory.mktemp(request.param)
    files = ["--csv", str(folder / "it.csv"), "--arrow", str(folder / "it.arrow")]
    with redirect_stdout(io.StringIO()) as said:
        assert main([*COMMANDS[request.param], *files, "--json"]) == 0
    return Tables(request.param, folder, json.loads(said.getvalue()))


def test_both_forms_say_the_same(tables: Tables) -> None:
    """Column by column and line by line, with numbers as numbers; Arrow's own reader of CSV agrees."""
    arrow = feather.read_table(tables.folder / "it.arrow")
    read = arrow_csv.read_csv(
        tables.folder / "it.csv", convert_options=arrow_csv.ConvertOptions(strings_can_be_null=True)
    )
    assert arrow.column_names == read.column_names
    assert arrow.num_rows == read.num_rows > 1
    for name in arrow.column_names:
        ours, theirs = arrow[name].to_pylist(), read[name].to_pylist()
        assert [it if it != "" else None for it in ours] == [it if it != "" else None for it in theirs], name


def test_they_hold_what_the_command_tells(tables: Tables) -> None:
    """A line a step, a result, a class, a part of the run, a section, a chain; the figures are those of the JSON."""
    rows, said = feather.read_table(tables.folder / "it.arrow").to_pylist(), tables.said
    match tables.name:
        case "trace":
            assert [it["step"] for it in rows] == list(range(1, len(rows) + 1))
            assert {"migrator", "worker"} <= {it["task"] for it in rows}
            assert any("tlb_flush" in it["points"] for it in rows)
        case "sweep":
            assert [(it["variant"], it["threads"]) for it in rows] == [
                (variant, threads) for variant in ("mutex_v37", "rwsem_v38") for threads in (1, 2)
            ]
            assert all(
                it["pages_per_second"] == pytest.approx(it["pages_migrated"] * 1e9 / it["elapsed_ns"]) for it in rows
            )
        case "lockstat":
            (it,) = (it for it in rows if it["class"] == "AnonVma.mutex")
            assert it["wait_ns.count"] == it["contended"] > 0
            assert it["hold_ns.mean"] == pytest.approx(it["hold_ns.total"] / it["hold_ns.count"])
        case "staircase":
            assert [it["threads"] for it in rows] == [1, 2]
            assert [it["pages_per_second"] for it in rows] == [it["pages_per_second"] for it in said["steps"]]
            assert [it[f"busy.{it['busiest']}"] for it in rows] == [max(it["busy"].values()) for it in said["steps"]]
        case "batches":
            assert rows == said["batches"]
            assert rows[0]["flushes"] > rows[1]["flushes"]
        case "convergence":
            assert [[it["until_ns"], it["remote_stores"]] for it in rows] == said["remote"]
            assert rows[-1]["on_a_right_node"] == said["right"][-1][1] > rows[0]["on_a_right_node"]
        case "recorded":
            assert [it["section"] for it in rows] == [*said["sections"]]
            assert [it["ipis_received"] for it in rows] == [0, 12, 12, 0]
            assert rows[1]["order"] == "4 times (unmap, send, 3 times receipt, copy, remap)"
        case "chains":
            assert sorted(f"{it['chain']} {it['context_switches']}" for it in rows) == sorted(said["folded"])
            assert sum(it["context_switches"] for it in rows) == said["context_switches"]


def test_text_survives_csv(tmp_path: Path) -> None:
    """Commas, quotes, line ends, letters beyond ASCII, and what is missing."""
    rows: list[dict[str, Any]] = [{"a": 'x, "y"\nz', "b": 1}, {"b": None, "c": "Δ"}]
    (tmp_path / "it.csv").write_text(as_csv(rows), "utf-8", newline="")
    with (tmp_path / "it.csv").open(encoding="utf-8", newline="") as file:
        assert list(csv.DictReader(file)) == [{"a": 'x, "y"\nz', "b": "1", "c": ""}, {"a": "", "b": "", "c": "Δ"}]
    assert columns(rows) == ["a", "b", "c"]
    assert flat({"a": {"b": {"c": 1}}, "d": 2}) == {"a.b.c": 1, "d": 2}


@pytest.mark.parametrize("option", ["--csv", "--arrow"])
def test_a_file_that_cannot_be_written_is_one_line(
    option: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And exit code 2."""
    target = tmp_path / "none" / "it"
    assert main([*COMMANDS["lockstat"], option, str(target)]) == 2
    assert capsys.readouterr().err == f"sim: {target} cannot be written: No such file or directory\n"


def test_without_pyarrow_there_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It names the extra, and comes before the run; and CSV needs nothing."""
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setattr("sim.engines.timed.run", None)
    assert main([*COMMANDS["lockstat"], "--arrow", str(tmp_path / "it.arrow")]) == 2
    assert "python -m pip install 'rmapwalk[arrow]'; --csv needs nothing" in capsys.readouterr().err
    monkeypatch.undo()
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert main([*COMMANDS["lockstat"], "--csv", str(tmp_path / "it.csv")]) == 0
    assert [it.name for it in tmp_path.iterdir()] == ["it.csv"]
