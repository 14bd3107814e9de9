"""Lessons that run in a browser alone: what is put together for them, and that they run there."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Route, expect

from course.cli import main
from course.lite.building import NUMBERS
from course.lite.locking import lock
from course.lite.parts import empty_wheel, own_wheel
from course.progress import LESSONS
from tests.conftest import SECONDS, enter_lab, lacking, open_in_lab, served

#: Runs the cells of a lesson where two packages cannot be imported.
WITHOUT = """
import json, sys
sys.modules |= dict.fromkeys(("numpy", "matplotlib"))
from course.running import values_of
names = {}
for cell in json.load(open(sys.argv[1], encoding="utf-8"))["cells"]:
    if cell["cell_type"] == "code":
        for value in values_of("".join(cell["source"]), names):
            repr(value)
"""


def test_the_wheel_is_what_runs_there(tmp_path: Path) -> None:
    """The three packages with the player's scripts, and nothing that builds sites."""
    names = zipfile.ZipFile(own_wheel(tmp_path)).namelist()
    assert {"sim/kernel/rmap.py", "vizlib/player/player.js", "course/kit/gates.py"} <= set(names)
    assert not [it for it in names if it.startswith(("course/site", "course/lite", "tests")) or "__pycache__" in it]


def test_the_list_names_every_wheel(tmp_path: Path) -> None:
    """With its digest, which Pyodide compares, and the names by which a cell imports it."""
    (tmp_path / "old.json").write_text('{"info": {"python": "3.13.2"}, "packages": {"numpy": {}}}', "utf-8")
    ours, empty = own_wheel(tmp_path), empty_wheel(tmp_path, "sqlite3")
    made = json.loads(lock(tmp_path / "old.json", [ours, empty]))
    assert made["info"] == {"python": "3.13.2"}
    assert list(made["packages"]) == ["rmapwalk", "sqlite3"]
    found = made["packages"]["rmapwalk"]
    assert found["imports"] == ["course", "sim", "vizlib"]
    assert found["sha256"] == hashlib.sha256(ours.read_bytes()).hexdigest()
    assert found["file_name"] == ours.name


def test_a_lesson_with_pictures_runs_from_the_wheel(tmp_path: Path) -> None:
    """Lesson 2, from the files that are there, without numpy and matplotlib."""
    lesson = next(it for it in LESSONS if it.stem.startswith("02"))
    zipfile.ZipFile(own_wheel(tmp_path)).extractall(tmp_path)
    command = [sys.executable, "-c", WITHOUT, str(lesson)]
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.site
@pytest.mark.browser
def test_the_lessons_run_in_the_browser(tmp_path: Path, browser: Browser) -> None:
    """Each from its first cell to its last; a prediction is answered, and the run that it hid is stepped."""
    if find_spec("jupyterlite_pyodide_kernel") is None:
        lacking("jupyterlite is not here: python -m pip install -e '.[lite]'")
    if shutil.which("npm") is None:
        lacking("no npm found: install it (Debian: apt-get install npm)")
    assert main(["lite", str(tmp_path / "out")]) == 0
    outside: list[str] = []
    with served(tmp_path / "out") as at:

        def only_here(route: Route) -> None:
            if route.request.url.startswith((at, "data:", "blob:")):
                route.continue_()
            else:
                outside.append(route.request.url)
                route.abort()

        context = browser.new_context(viewport={"width": 1200, "height": 1600})
        context.set_default_timeout(300 * SECONDS)
        context.route("**/*", only_here)
        page = context.new_page()
        enter_lab(page, f"{at}/lab/index.html")
        for lesson in (it for it in LESSONS if it.stem[:2] in NUMBERS):
            notebook = open_in_lab(page, lesson.name, kernel="python", seconds=300)
            notebook.run_all(seconds=300)
            shown = page.locator(".jp-NotebookPanel:not(.lm-mod-hidden)")
            shown.locator("input[type=radio]").first.check()
            shown.get_by_role("button", name="That is my answer").first.click()
            if lesson.stem.startswith("01"):
                player = shown.locator(".rmw").first
                before = int(player.get_attribute("data-step") or 0)
                player.get_by_role("button", name="one step forward").click()
                expect(player).to_have_attribute("data-step", str(before + 1))
            notebook.close()
    assert outside == []
