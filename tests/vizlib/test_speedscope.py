"""Profiles and traces in a reader that we did not write: speedscope, its schema, and its page with the network off.

speedscope comes from npm (see .ci/run); RMAPWALK_SPEEDSCOPE names the folder of its page.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import jsonschema
import pytest
from playwright.sync_api import Page, expect

from sim.cli import main as sim
from tests.conftest import lacking
from vizlib.cli import main as vizlib

RUN = ["numa02", "--variant", "mutex_v37", "--threads", "4", "--pages", "4"]
#: By file: the command that writes it, how speedscope calls the format, and a name that it must show.
FILES = {
    "it.speedscope.json": (["profile", *RUN, "--format", "speedscope"], "speedscope json file", "rmap_walk"),
    "it.folded.txt": (["profile", *RUN, "--cpu", "--format", "folded"], "collapsed stack format", "do_page_fault"),
    "it.json": (["lanes", "numa02", "mutex_v37", "threads=4", "pages=4"], "Trace Event Format profile", "waits for"),
}


@pytest.fixture(scope="module")
def speedscope() -> Path:
    """The folder of speedscope's page."""
    folder = os.environ.get("RMAPWALK_SPEEDSCOPE")
    return Path(folder) if folder else lacking("no speedscope: npm install speedscope, and name its dist/release")


def written(name: str, folder: Path) -> Path:
    """The file, written by its command."""
    command, target = FILES[name][0], folder / name
    assert (vizlib if command[0] == "lanes" else sim)([*command, "-o", str(target)]) == 0
    return target


def test_a_profile_is_as_the_schema_of_speedscope_says(speedscope: Path, tmp_path: Path) -> None:
    """Published with the program; a profile without frames is refused by it, so it does look."""
    schema = json.loads((speedscope / "file-format-schema.json").read_text("utf-8"))
    profile = json.loads(written("it.speedscope.json", tmp_path).read_text("utf-8"))
    jsonschema.validate(profile, schema)
    del profile["shared"]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(profile, schema)


@pytest.mark.browser
@pytest.mark.parametrize("name", FILES)
def test_speedscope_opens_it(name: str, speedscope: Path, offline_page: Page, tmp_path: Path) -> None:
    """It knows the format, complains of nothing, and lists the functions that we wrote."""
    path, said, dialogs = written(name, tmp_path), [], []
    offline_page.on("console", lambda it: said.append(it.text))
    offline_page.on("dialog", lambda it: (dialogs.append(it.message), it.dismiss()))
    offline_page.goto((speedscope / "index.html").as_uri())
    offline_page.locator("input[type=file]").set_input_files(path)
    offline_page.get_by_text("Sandwich").click()
    expect(offline_page.get_by_text(FILES[name][2]).first).to_be_visible()
    assert f"Importing as {FILES[name][1]}" in said
    assert dialogs == []
