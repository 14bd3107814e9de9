"""Every world under every variant: the same cells as one by one, held against what is claimed, and never lost."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import signal
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest

from sim import variants, worlds
from sim.analysis import matrix as module
from sim.analysis.matrix import Cell, Matrix, cells_of, matrix
from sim.cli import main
from sim.engines.checker import check
from sim.errors import UnknownName

TWO = ("stack_grows", "one_page"), ("mutex_v37", "rfc_remap_unlocked")


def test_processes_find_what_one_check_after_another_finds() -> None:
    """Two at a time or one alone: verdicts, states and steps are those of check."""
    together, alone = matrix(*TWO, jobs=2), matrix(*TWO, jobs=1)
    assert together.to_json() == alone.to_json()
    assert [(it.world, it.variant) for it in together.cells] == cells_of(*TWO)
    for it in together.cells:
        verdict = check(it.world, it.variant)
        assert (it.verdict, it.states, it.complete) == (verdict.verdict, verdict.states, verdict.complete)
        assert it.steps == (verdict.violations[0].steps if verdict.violations else None)


def test_all_cells_is_every_world_and_its_tilde_forms_under_every_variant(monkeypatch: pytest.MonkeyPatch) -> None:
    assert cells_of() == [(world, variant) for world in worlds.WORLDS for variant in variants.names()]
    tilde = replace(worlds.find("one_page"), name="one_page~no_rule", base="one_page")
    monkeypatch.setitem(worlds.WORLDS, tilde.name, tilde)
    both = [("one_page", "mutex_v37"), ("one_page~no_rule", "mutex_v37")]
    assert cells_of(["one_page"], ["mutex_v37"]) == both
    assert cells_of(["one_page~no_rule"], ["mutex_v37"]) == both[1:]


def test_what_does_not_exist_is_refused() -> None:
    with pytest.raises(UnknownName, match="stack_grow"):
        matrix(["stack_grow"])
    with pytest.raises(UnknownName, match="mutex"):
        matrix(variants=["mutex"])


def test_a_cell_that_is_too_large_is_undecided_and_says_the_number() -> None:
    (cell,) = matrix(["stack_grows"], ["mutex_v37"], limit=500, jobs=1).cells
    assert (cell.verdict, cell.complete, cell.steps, cell.agrees) == ("undecided", False, None, False)
    assert cell.states >= 500
    assert "500 states" in cell.bound
    assert f"? stack_grows under mutex_v37: {cell.bound}" in Matrix((cell,), 0).text()


def test_a_wrong_claim_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    lying = replace(variants.find("mutex_v37"), verdicts={"stack_grows": "unsafe"})
    monkeypatch.setattr(variants, "find", lambda _: lying)
    found = matrix(["stack_grows"], ["mutex_v37"], jobs=1)
    assert not found.agrees
    assert "✓ safe ≠ unsafe" in found.text()
    assert "≠ stack_grows under mutex_v37 is safe; the variant states unsafe" in found.text()


def test_a_variant_that_claims_nothing_is_not_contradicted() -> None:
    assert Cell("w", "v", "unsafe").agrees
    assert Cell("w", "v", "unsafe", claimed="unsafe").agrees
    assert not Cell("w", "v", "unsafe", claimed="safe").agrees


def test_a_world_that_is_not_known_goes_before_the_largest() -> None:
    left = [("small", "a"), ("large", "a"), ("new", "a")]
    assert module._next(left, {"small": 10, "large": 20}) == ("new", "a")
    assert module._next(left[:2], {"small": 10, "large": 20}) == ("large", "a")


def test_progress_counts_the_cells() -> None:
    told: list[Any] = []
    found = matrix(["one_page"], TWO[1], jobs=1, progress=lambda *it: told.append(it))
    assert [it[:2] for it in told] == [(2, 1), (2, 2)]
    assert told[-1][2] == sum(it.states for it in found.cells)


def test_a_wide_table_is_parted() -> None:
    cells = tuple(Cell("world", f"variant_{number}", "safe") for number in range(4))
    parts = Matrix(cells, 0).text(35).split("\n\n")
    assert [part.split()[:3] for part in parts[:2]] == [
        ["world", "variant_0", "variant_1"],
        ["world", "variant_2", "variant_3"],
    ]
    assert all(len(line) <= 35 for part in parts[:2] for line in part.splitlines())


# --- the command -----------------------------------------------------------------------------------------


def test_the_command_exits_with_0_if_all_is_as_stated(capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["matrix", "--worlds", *TWO[0], "--variants", *TWO[1], "--jobs", "1"]
    assert main([*argv, "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert {world: list(its) for world, its in data.items()} == {"one_page": list(TWO[1]), "stack_grows": list(TWO[1])}
    cell = data["stack_grows"]["rfc_remap_unlocked"]
    assert {"verdict", "states", "complete", "steps", "claimed", "agrees"} <= set(cell)
    assert (cell["verdict"], cell["claimed"], cell["agrees"]) == ("unsafe", "unsafe", True)
    assert main(argv) == 0
    said = capsys.readouterr().out
    assert re.search(r"^stack_grows +✓ safe +✗ unsafe in \d+$", said, re.MULTILINE)
    assert said.endswith("every cell is as its variant states\n")


def test_the_command_exits_with_1_if_a_cell_is_not_as_stated(capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["matrix", "--worlds", "one_page", "--variants", "mutex_v37", "--jobs", "1", "--limit", "10", "--json"]
    assert main(argv) == 1
    assert json.loads(capsys.readouterr().out)["one_page"]["mutex_v37"]["agrees"] is False


@pytest.mark.parametrize("wrong", [["--limit", "0"], ["--jobs", "-1"], ["--worlds", "nowhere"]])
def test_bad_input_is_refused(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["matrix", *wrong]) == 2
    assert capsys.readouterr().err.startswith("sim: ")


def rest_of(terminal: int) -> bytes:
    """What is still to be read from a terminal at whose other end nobody is left."""
    rest = b""
    with contextlib.suppress(OSError):
        while more := os.read(terminal, 1000):
            rest += more
    os.close(terminal)
    return rest


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_ctrl_c_ends_it_with_what_was_found_so_far(jobs: str) -> None:
    """A real interrupt, to all its processes as a terminal sends it, once the first cell is done."""
    terminal, its_end = pty.openpty()
    argv = [sys.executable, "-m", "sim", "matrix", "--jobs", jobs]
    running = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=its_end, text=True, start_new_session=True)
    os.close(its_end)
    told = b""
    while not re.search(rb"[1-9]\d* of", told):
        told += os.read(terminal, 1000)
    os.killpg(running.pid, signal.SIGINT)
    said, _ = running.communicate(timeout=60)
    told += rest_of(terminal)
    assert running.returncode == 1
    assert re.search(r"^\w\S* .*(?:✓ safe|✗ unsafe in \d+)", said, re.MULTILINE)  # whichever cell was done first
    assert "interrupted before it began" in said
    assert b"Traceback" not in told
