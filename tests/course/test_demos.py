"""The four demonstrations: their runs replay, their keys lead where the page says, their figures are those printed."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from course.instructor.demos import DEMOS, PAGE, Demo, page, played, pressed
from sim.cli import main
from vizlib.film import film

KEYS = """
import { readFileSync } from "node:fs";
import { findStop, Timeline } from "PLAYER/film.js";
const film = new Timeline(JSON.parse(readFileSync(process.argv[2])));
const kinds = { c: "change", l: "lock", n: "decision", p: "preempt" };
let at = 0;
for (const keys of JSON.parse(process.argv[3])) {
  for (const key of keys.split(" ")) {
    if (key === "End") at = film.length;
    else if (key === "→" || key === "←") at += key === "→" ? 1 : -1;
    else at = findStop(film, kinds[key], { from: at });
  }
  console.log(at);
}
"""

demos = pytest.mark.parametrize("demo", DEMOS, ids=lambda demo: demo.title)


def test_there_are_four_and_the_page_is_written() -> None:
    """What a lecturer prints is what the runs say now."""
    assert len(DEMOS) == 4
    assert PAGE.read_text("utf-8") == page(), "run: python -m course.refresh"


@demos
def test_a_demonstration_replays(demo: Demo) -> None:
    """Its run ends as it says, and each stop is a step of it, one after the other."""
    trace, steps = played(demo)
    assert trace.run_name == demo.run
    assert (trace.violation.kind if trace.violation else "") == demo.ends
    assert steps == sorted(set(steps))


@demos
def test_the_keys_lead_to_the_stops(demo: Demo, node: str, tmp_path: Path) -> None:
    """Pressed from the start, one row after the other, by the player's own rules."""
    trace, steps = played(demo)
    (tmp_path / "film.json").write_text(json.dumps(film(trace)), "utf-8")
    player = Path(__file__).parents[2] / "vizlib" / "player"
    (tmp_path / "keys.mjs").write_text(KEYS.replace("PLAYER", player.as_uri()), "utf-8")
    keys = json.dumps([it.keys for it in demo.stops])
    found = subprocess.run(
        [node, str(tmp_path / "keys.mjs"), str(tmp_path / "film.json"), keys],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert [int(it) for it in found.stdout.split()] == steps, found.stderr


def test_a_vote_names_its_misconceptions_and_ends_with_the_right_answer() -> None:
    """All but the last."""
    for demo in DEMOS:
        assert all(re.search(r"\(M\d+b?\)$", it) for it in demo.vote[1:-1])
        assert not re.search(r"\(M\d", demo.vote[-1])


def test_the_command_prints_the_figures_of_the_page(capsys: pytest.CaptureFixture[str]) -> None:
    """The profile of the second."""
    command, prints = next(iter(DEMOS[1].prints.items()))
    assert main(command.split()[3:]) == 0
    printed = capsys.readouterr().out
    for share in re.findall(r"(\d+\.\d\d) %", prints()):
        assert f"{share}%" in printed


def test_keys_are_told_in_few_words() -> None:
    """How often, and in which order."""
    assert pressed("l l l") == "`l` × 3"
    assert pressed("End ←") == "`End`, `←`"
