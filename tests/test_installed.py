"""What is installed: a wheel that holds every file, a source archive that makes the same wheel, and one door to all.

The commands here run from the wheel's own files, in a folder elsewhere, as after `pip install`.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path
from typing import NamedTuple

import pytest

from course.cli import parser as course
from sim.cli import parser as sim
from tests.conftest import ROOT, project_files
from vizlib.cli import parser as vizlib

PACKAGES = ("sim", "vizlib", "course")

# Runs the commands that stand in argv[2] as JSON; prints, as JSON, for each its exit code and what it printed, and
# which files of the folder in argv[1] were opened.
RUNNER = """
import contextlib, io, json, sys
home, opened = sys.argv[1], set()
def note(event, args):
    if event == "open" and isinstance(args[0], str) and args[0].startswith(home):
        opened.add(args[0][len(home) + 1:])
sys.addaudithook(note)
from sim.cli.door import main
said = []
for argv in json.loads(sys.argv[2]):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = main(argv)
        except SystemExit as ended:
            code = ended.code
    said.append([code, out.getvalue(), err.getvalue()])
print(json.dumps([said, sorted(opened)]))
"""


def repository() -> frozenset[str]:
    """The names of the files that are, or would be, in the repository."""
    return frozenset(path.relative_to(ROOT).as_posix() for path in project_files())


def build_wheel(root: Path, to: Path) -> Path:
    """The wheel of the project in *root*."""
    from hatchling.builders.wheel import WheelBuilder

    (wheel,) = WheelBuilder(str(root)).build(directory=str(to), versions=["standard"])
    return Path(wheel)


def code_in(wheel: Path) -> dict[str, bytes]:
    """The files in a wheel that are not about the wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist() if ".dist-info/" not in name}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that `pip wheel .` would make."""
    return build_wheel(ROOT, tmp_path_factory.mktemp("wheel"))


COMMANDS = {
    "unsafe": ["check", "stack_grows", "--variant", "rfc_remap_unlocked"],
    "page": ["export", "one_page mutex_v37 b3a5", "-o", "run.html"],
    "where": ["where", "mm/rmap.c:1470"],
    "lab": ["lab", "mine", "--no-open"],
    "help": ["--help"],
    "json": ["level", "--json"],
    "usage": ["lanes", "--help"],
    "fault": ["check", "stack_grow", "--variant", "mutex_v37"],
    "slip": ["chek"],
}


class Ran(NamedTuple):
    """What each command did (exit code, output, errors), the files opened of those installed, those made elsewhere."""

    said: dict[str, tuple[int, str, str]]
    opened: set[str]
    made: set[str]


@pytest.fixture(scope="module")
def ran(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """The commands, run in another folder from what an installer puts into site-packages."""
    site, cwd = tmp_path_factory.mktemp("site"), tmp_path_factory.mktemp("elsewhere")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    command = [sys.executable, "-c", RUNNER, str(site), json.dumps([*COMMANDS.values()])]
    environment = {**os.environ, "PYTHONPATH": str(site)}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    said, opened = json.loads(done.stdout)
    return Ran(dict(zip(COMMANDS, map(tuple, said), strict=True)), set(opened), {it.name for it in cwd.iterdir()})


def test_the_wheel_holds_every_file_of_the_packages(wheel: Path) -> None:
    """Scripts, style sheets, lessons and py.typed travel with the code, and nothing else does."""
    wanted = {name for name in repository() if name.split("/")[0] in PACKAGES}
    assert {f"{package}/py.typed" for package in PACKAGES} <= wanted
    assert code_in(wheel).keys() == wanted


def test_the_source_archive_makes_the_same_wheel(wheel: Path, tmp_path: Path) -> None:
    """It needs no checkout, and holds the tests, the licence and what tells how to run them."""
    from hatchling.builders.sdist import SdistBuilder

    (made,) = SdistBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["standard"])
    with tarfile.open(made) as archive:
        archive.extractall(tmp_path, filter="data")
    (root,) = (it for it in tmp_path.iterdir() if it.is_dir())
    held = {it.relative_to(root).as_posix() for it in root.rglob("*") if it.is_file()}
    assert repository() <= held | {name for name in repository() if name.startswith(".ci/")}
    assert held - repository() == {"PKG-INFO"}
    assert code_in(build_wheel(root, tmp_path)) == code_in(wheel)


def test_it_runs_anywhere_and_opens_what_the_wheel_holds(wheel: Path, ran: Ran) -> None:
    """A check, a page to watch, a look into the kernel, the lessons: no file is looked for that was not installed."""
    assert [ran.said[name][0] for name in ("unsafe", "page", "where", "lab")] == [1, 0, 0, 0]
    assert "stale migration entry" in ran.said["unsafe"][1]
    assert ran.made == {"run.html", "mine"}
    data = {name for name in ran.opened if ".dist-info/" not in name and "__pycache__" not in name}
    assert data <= code_in(wheel).keys()
    assert {"course/00_start_here.ipynb", "vizlib/player/player.css", "sim/kernel/rmap.py"} <= data


def test_the_door_lists_every_command_under_its_heading(ran: Ran) -> None:
    """Of all three packages, each once, with what it is for; and there is no command that it hides."""
    code, out, _ = ran.said["help"]
    assert code == 0
    for heading in ("The model:", "Pictures and pages:", "The course:"):
        assert f"\n{heading}\n" in out
    listed = [line.split()[0] for line in out.splitlines() if line.startswith("  ")]
    assert listed == [*sim().texts, *vizlib().texts, *course().texts]
    assert len(listed) == len(set(listed))


def test_the_door_hands_on_and_calls_itself_by_its_name(ran: Ran) -> None:
    """JSON and exit codes are the command's; a usage line and a fault say rmapwalk; a slip finds the nearest."""
    assert "stale_entry" in json.loads(ran.said["json"][1])
    assert ran.said["usage"][1].startswith("usage: rmapwalk lanes")
    for name, words in (
        ("fault", "rmapwalk: no world is called 'stack_grow'; nearest: stack_grows"),
        ("slip", "rmapwalk: no command is called 'chek'; nearest: check"),
    ):
        code, out, err = ran.said[name]
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert err.startswith(words)


def test_binder_builds_what_is_tested() -> None:
    """A Python that we admit, this project under the tested versions, and the page that the maintainers' text names."""
    asked = [line for line in (ROOT / "binder/requirements.txt").read_text().splitlines() if line]
    (constraints,) = (line.removeprefix("-c ") for line in asked if line.startswith("-c "))
    assert (ROOT / "binder" / constraints).resolve() == ROOT / "constraints.txt"
    assert [line for line in asked if not line.startswith("-c ")] == ["."]
    version = (ROOT / "binder/runtime.txt").read_text().strip().removeprefix("python-")
    said = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert f"Programming Language :: Python :: {version}" in said["classifiers"]
    (page,) = re.findall(r"urlpath=lab/tree/([\w./]+)", (ROOT / "docs/maintainers.md").read_text("utf-8"))
    assert (ROOT / page).exists()
