"""``python -m vizlib``: what it writes, what it says, and how it refuses."""

from __future__ import annotations

import json
import subprocess
import sys
import webbrowser
from pathlib import Path

import pytest

from sim.engines.timed import run
from tests.vizlib import runs
from vizlib.__main__ import main

RUN = "one_page mutex_v37 b3a5"


@pytest.mark.parametrize(("suffix", "start"), [(".html", b"<!doctype html>"), (".svg", b"<?xml"), (".png", b"\x89PNG")])
def test_export_writes_what_the_suffix_says(tmp_path: Path, suffix: str, start: bytes) -> None:
    """And nothing beside it."""
    target = tmp_path / f"run{suffix}"
    assert main(["export", RUN, "-o", str(target)]) == 0
    assert target.read_bytes().startswith(start)
    assert list(tmp_path.iterdir()) == [target]


def test_json_is_one_object_and_nothing_else(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With the file, its size, the run name and the step."""
    target = tmp_path / "run.svg"
    assert main(["export", RUN, "--step", "4", "-o", str(target), "--json"]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out) == {
        "file": str(target),
        "bytes": target.stat().st_size,
        "run_name": RUN,
        "steps": 8,
        "step": 4,
    }
    assert said.err == ""


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["export", "one_pag", "-o", "x.html"], "no world is called 'one_pag'; nearest: one_page"),
        (["export", "one_page", "--variant", "mutex", "-o", "x.svg"], "nearest: mutex_v37"),
        (["export", "one_page?pages=2", "-o", "x.svg"], "parameter of world one_page"),
        (["export", "one_page mutex_v37 z9", "-o", "x.svg"], "there is no task z"),
        (["export", "one_page mutex_v37 a!", "-o", "x.svg"], "cannot be read at character 2"),
        (["export", RUN, "--variant", "rwsem_v38", "-o", "x.svg"], "names a variant already"),
        (["export", RUN, "--step", "9", "-o", "x.png"], "the steps 0 to 8"),
        (["export", RUN, "-o", "x.pdf"], "there are: .html, .svg, .png"),
        (["export", RUN, "-o", "nowhere/x.svg"], "nowhere/x.svg cannot be written"),
        (["export", RUN], "required: -o/--output"),
        (["waits", "one_page", "--step", "9999"], "this run has the steps 0 to"),
        (["waits", "one_page", "-o", "x.html"], "who waits for whom is drawn as .svg or .png"),
        (["family", "one_page", "-o", "x.html"], "a family is drawn as .svg or .png"),
        (["lanes", "numa2", "mutex_v37"], "no world is called 'numa2'; nearest: numa02"),
        (["lanes", "numa02", "mutex_v37", "threads"], "'threads' has no value: write threads=4 or --threads 4"),
        (["lanes", "numa02", "mutex_v37", "threads=0"], "threads=0 is not allowed in numa02: 1 to 128"),
        (["lanes", "numa02", "mutex_v37", "--policy", "hand"], "no policy is called 'hand'; nearest: handoff"),
        (["lanes", "numa02", "mutex_v37", "-o", "x.gif"], "lanes are written as .html, .svg, .png or .json"),
        (["lanes", "numa02"], "required: --variant"),
        (["text", "one_page?rounds=2", "rounds=1"], "says its parameters itself; leave rounds=1 away"),
        (["explode"], "invalid choice: 'explode'"),
        (["export", "foreign.json", "-o", "x.svg"], "is no trace of this project"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    words: str,
) -> None:
    """Exit code 2; no traceback; the folder stays as it was, also the file that was to be replaced."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.svg").write_text("before")
    (tmp_path / "foreign.json").write_text("{}")
    assert main(arguments) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    assert words in said.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["foreign.json", "x.svg"]
    assert (tmp_path / "x.svg").read_text() == "before"


def test_a_saved_trace_can_be_exported(tmp_path: Path) -> None:
    """The picture is that of the live run."""
    runs.trace().save(tmp_path / "run.json")
    assert main(["export", str(tmp_path / "run.json"), "--step", "9", "-o", str(tmp_path / "a.svg")]) == 0
    assert main(["export", runs.trace().run_name, "--step", "9", "-o", str(tmp_path / "b.svg")]) == 0
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


def test_open_hands_a_page_to_the_browser(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A file of its own, opened at the step."""
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", lambda address: opened.append(address) or True)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert main(["open", RUN, "--step", "3"]) == 0
    (page,) = tmp_path.rglob("run.html")
    assert opened == [f"{page.as_uri()}#step=3"]


def test_text_prints_one_step(capsys: pytest.CaptureFixture[str]) -> None:
    """For a terminal."""
    assert main(["text", RUN, "--step", "0"]) == 0
    assert capsys.readouterr().out.startswith("one_page · mutex_v37 · step 0 of 8\n")


def test_family_prints_and_draws_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A walk in the middle of a fork: in words, and as a picture that shows the same objects."""
    assert main(["family", "fork_during_migration", "--step", "140"]) == 0
    words = capsys.readouterr().out
    assert "mover walks A_heap in rmap_walk_anon: stop 1, avc_heap, VMA heap" in words
    target = tmp_path / "family.svg"
    assert main(["family", "fork_during_migration", "--step", "140", "-o", str(target), "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["text"] in words
    assert 'id="walk:mover"' in target.read_text(encoding="utf-8")


def test_waits_prints_and_draws_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In words, as JSON, and as a picture."""
    assert main(["waits", "mlock_inversion~blocking"]) == 0
    assert "Deadlock: kswapd waits to read mmap_sem of P, held by process" in capsys.readouterr().out
    target = tmp_path / "ring.svg"
    assert main(["waits", "mlock_inversion~blocking", "-o", str(target), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["deadlocks"] == [["kswapd", "mmap_sem of P", "process", "the anon_vma lock of A_heap"]]
    assert said["bytes"] == target.stat().st_size
    assert ">anon_vma lock of A_heap</text>" in target.read_text(encoding="utf-8")


LANES = ["lanes", "numa02", "mutex_v37", "threads=2", "pages=2"]
#: The same said otherwise.
SAME = ["lanes", "numa02", "--variant", "mutex_v37", "--threads", "2", "pages=2"]


def test_lanes_prints_the_shares_of_each_thread(capsys: pytest.CaptureFixture[str]) -> None:
    """In words and as JSON; the time is that of the same run under the clock."""
    assert main(LANES) == 0
    printed = capsys.readouterr().out
    assert main([*LANES, "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert main([*SAME, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == data
    elapsed = run("numa02", "mutex_v37", threads=2, pages=2).elapsed_ns
    assert data["elapsed_ns"] == elapsed
    assert printed.startswith(f"numa02 under mutex_v37: {data['steps']:,} steps of 2 threads in {elapsed:,} ns, simul")
    assert printed.rstrip().endswith(data["text"])


@pytest.mark.parametrize("suffix", [".html", ".svg", ".png"])
def test_lanes_are_drawn_the_same_every_time(tmp_path: Path, suffix: str) -> None:
    """A page that can be zoomed, or a still."""
    for name in "ab":
        assert main([*LANES, "-o", str(tmp_path / f"{name}{suffix}")]) == 0
    found = (tmp_path / f"a{suffix}").read_bytes()
    assert found == (tmp_path / f"b{suffix}").read_bytes()
    assert len(list(tmp_path.iterdir())) == 2
    if suffix == ".svg":
        assert b"ns, simulated" in found
        assert b"worker-2" in found


def test_it_runs_as_a_module() -> None:
    """And says what it can do."""
    done = subprocess.run([sys.executable, "-m", "vizlib"], capture_output=True, text=True, check=True)
    assert "export" in done.stdout
