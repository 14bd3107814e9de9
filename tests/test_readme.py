"""The README's map is true: what it names exists, and its tables are what the code says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sim.__main__ import main
from sim.citations import citations, markdown, where
from sim.engines.stepper import replay
from sim.errors import UserError

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")
SECTIONS = dict(re.findall(r"^## (.+)\n((?:(?!^## ).*\n)*)", README, re.MULTILINE))


def test_every_file_and_folder_that_the_map_names_exists() -> None:
    """The map leads somewhere: each path in it is there."""
    paths = [it for it in re.findall(r"`([\w./-]+)`", SECTIONS["Where is…?"]) if "/" in it]
    assert len(paths) > 10
    assert [it for it in paths if not (ROOT / it).exists()] == []


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("def try_to_unmap(", "sim/kernel/rmap.py"),
        ("mutex = declare(", "sim/structs.py"),
        ("def anon_vma_lock(", "sim/variants/mutex_v37.py"),
        ("def execute(", "sim/interpreter.py"),
        ("def no_stale_migration_entry(", "sim/invariants.py"),
        ("Walk(", "sim/user.py"),
        ("illustrative", "sim/engines/costs.py"),
    ],
)
def test_what_the_map_promises_stands_in_that_file(name: str, file: str) -> None:
    """The map names *file* for it, and it stands there."""
    assert f"`{file}`" in SECTIONS["Where is…?"]
    assert name in (ROOT / file).read_text("utf-8")


def test_the_kernel_table_is_the_one_in_the_docstrings() -> None:
    """The table from kernel file:line to our function is generated; the README holds the present one."""
    assert markdown() in README


def test_a_line_of_the_kernel_leads_to_the_function_that_begins_before_it() -> None:
    """A reader with mm/rmap.c open at a line in try_to_unmap_anon is led to ours."""
    assert [it.function for it in where("mm/rmap.c:1480") if it.version == "v3.7"] == ["try_to_unmap_anon"]
    assert where("rmap.c:1480") == where("mm/rmap.c:1480")
    assert len(citations()) > 60


def test_a_file_that_is_not_here_is_refused_with_those_that_are() -> None:
    """Bad input names the remedy."""
    with pytest.raises(UserError, match=r"no file of the kernel is called 'ext4\.c'; nearest: "):
        where("ext4.c:1")


def test_the_run_names_in_the_readme_can_be_replayed(capsys: pytest.CaptureFixture[str]) -> None:
    """Every run name with a schedule, as printed, is followed to its end."""
    names = set(re.findall(r'"(\w+ \w+ [\w.]+)"', README))
    assert names
    for name in names:
        assert main(["replay", name]) == 0
        assert "final memory" in capsys.readouterr().out


def test_the_picture_shows_what_its_caption_says() -> None:
    """At the step that it names the PTE is clear, an interrupt is under way, CPU 1 still has the TLB entry."""
    found = re.search(r"^Step (\d+) of the run `([^`]+)`: CPU 0 has cleared the PTE", README, re.MULTILINE)
    assert found is not None
    events, memory = replay(found[2]).events, dict(replay(found[2]).initial)
    for change in (change for event in events[: int(found[1])] for change in event.changes):
        memory[change.field] = change.new
    now = {repr(field): value for field, value in memory.items()}
    assert type(events[int(found[1]) - 1].op).__name__ == "SendIpi"
    assert (now["pt0.pte[0]"], now["cpu0.csd_pending"]) == (None, 1)
    assert str(now["cpu1.tlb[P:0]"].page) == "f0"


def test_the_readme_names_no_command_that_does_not_exist(capsys: pytest.CaptureFixture[str]) -> None:
    """Each ``python -m sim X`` in the README is a command."""
    commands = set(re.findall(r"python -m sim ([\w-]+)", README))
    assert len(commands) > 5
    for command in commands:
        with pytest.raises(SystemExit) as stop:
            main([command, "--help"])
        assert stop.value.code == 0
        assert capsys.readouterr().out
