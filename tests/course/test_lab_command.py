"""``rmapwalk lab``: a copy of the course that is its reader's, and JupyterLab on it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from itertools import takewhile
from pathlib import Path

import pytest

from course.cli import lab, main
from course.progress import COURSE, INDEX, LESSONS

KIT = ["recording/README.md", "recording/move_own_pages.c", "recording/record.sh"]
NAMES = [INDEX.name, *(it.name for it in LESSONS), *KIT]


def test_it_copies_every_lesson_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With what lesson 12 records by, to a folder that need not be there; the second time nothing is left to do."""
    folder = tmp_path / "a" / "mine"
    assert main(["lab", str(folder), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said == {"folder": str(folder), "new": NAMES, "updated": [], "same": [], "kept": []}
    assert {it.relative_to(folder).as_posix() for it in folder.rglob("*") if it.is_file()} == {*NAMES, lab.COPIED}
    assert all((folder / it).read_bytes() == (COURSE / it).read_bytes() for it in NAMES)
    about = (folder / KIT[0]).read_text("utf-8")
    assert all(f"`{Path(it).name}`" in about for it in KIT[1:])
    assert lab.copy(folder) == lab.Copied([], [], NAMES, [])


def test_what_the_reader_changed_is_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is named, and a name for a fresh copy is offered; a file that was there before the copy is no other."""
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / NAMES[3]).write_text("my own, from before")
    lab.copy(folder)
    (folder / NAMES[1]).write_text("my work")
    (folder / KIT[2]).write_text("records more")
    (tmp_path / "mine-2").mkdir()
    assert main(["lab", str(folder), "--no-open"]) == 0
    said = capsys.readouterr().out
    assert f"kept as you left them: {NAMES[1]}, {NAMES[3]}, {KIT[2]}\n" in said
    assert f"a fresh copy beside it: rmapwalk lab {tmp_path / 'mine-3'}\n" in said
    assert f"open it with: jupyter lab {folder / INDEX.name}" in said
    assert (folder / NAMES[1]).read_text() == "my work"
    assert (folder / NAMES[3]).read_text() == "my own, from before"
    assert (folder / KIT[2]).read_text() == "records more"


def test_a_lesson_that_was_not_touched_is_brought_up_to_date(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After an update of the course: then what was changed by its reader stays, and what was not is new."""
    (tmp_path / "old" / "recording").mkdir(parents=True)
    for name in (*NAMES[:2], *KIT):
        (tmp_path / "old" / name).write_text("an earlier version")
    folder = tmp_path / "mine"
    with monkeypatch.context() as earlier:
        earlier.setattr(lab, "COURSE", tmp_path / "old")
        lab.copy(folder)
    (folder / NAMES[1]).write_text("my work")
    assert lab.copy(folder) == lab.Copied(NAMES[2:-3], [NAMES[0], *KIT], [], [NAMES[1]])
    assert (folder / NAMES[0]).read_bytes() == INDEX.read_bytes()
    (folder / lab.COPIED).write_text("{")  # if it is not known how they were, all are the reader's
    (folder / NAMES[0]).write_text("an earlier version")
    assert lab.copy(folder).kept == NAMES[:2]


@pytest.mark.parametrize(
    ("folder", "words"),
    [(INDEX.parent, "is the course itself"), (INDEX, "cannot be copied to")],
    ids=["course", "file"],
)
def test_a_folder_that_cannot_be_is_refused(folder: Path, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    """In one line."""
    before = INDEX.read_bytes()
    assert main(["lab", str(folder), "--no-open"]) == 2
    said = capsys.readouterr()
    assert words in said.err
    assert said.err.count("\n") == 1
    assert INDEX.read_bytes() == before


def test_jupyterlab_opens_the_copy_and_ctrl_c_stops_it(tmp_path: Path) -> None:
    """What the browser is sent to is the first lesson of the copy; after Ctrl-C no process and no question is left."""
    folder, runtime = tmp_path / "mine", tmp_path / "run"
    command = [sys.executable, "-u", "-m", "course", "lab", str(folder), "--no-browser", "--jupyter=--allow-root"]
    environment = {**os.environ, "JUPYTER_RUNTIME_DIR": str(runtime), "JUPYTER_CONFIG_DIR": str(tmp_path / "config")}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as it:
        assert it.stderr is not None
        try:
            before = list(takewhile(lambda line: "-open.html" not in line, it.stderr))
            assert it.poll() is None, "".join(before)
            opened = [it.read_text() for it in runtime.glob("*-open.html")]
            assert any("/lab/tree/00_start_here.ipynb?token=" in it for it in opened)
            it.send_signal(signal.SIGINT)
            said, _ = it.communicate(timeout=60)
        finally:
            it.kill()
    assert (it.returncode, said) == (0, f"JupyterLab has stopped; your lessons are in {folder}\n")
