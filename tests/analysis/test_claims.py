"""The claims of the mail: who holds what, and what follows when the premise is granted."""

from __future__ import annotations

import json

import pytest

from sim.__main__ import main
from sim.analysis.claims import Claims, claims, premise
from sim.engines.stepper import replay
from sim.worlds.callers import CALLERS
from sim.worlds.disturbers import DISTURBERS


@pytest.fixture(scope="module")
def found() -> Claims:
    """Two callers, one that holds the mmap_sem of its process and one that holds none, beside four disturbers."""
    return claims(("move_pages", "compaction"), ("exit", "munmap", "MADV_DONTNEED", "stack growth"))


def test_only_a_numa_fault_holds_the_mmap_sem_of_all_who_map_the_page() -> None:
    """And it does because it moves no page that two processes map."""
    rows = {it.caller: it for it in premise()}
    assert list(rows) == list(CALLERS)
    assert [it.caller for it in rows.values() if it.true] == ["NUMA fault"]
    assert {it.caller: it.holds for it in rows.values()} == {
        "NUMA fault": ("read",),
        "move_pages": ("read", ""),
        "mbind": ("write", ""),
        "compaction": ("", ""),
        "hot-remove": ("", ""),
        "reclaim": ("", ""),
    }


def test_the_premise_as_it_stands_in_the_table_of_callers_is_what_a_run_shows() -> None:
    """``Caller.mmap_sem`` says how the caller holds that of its own process."""
    assert {it.caller: it.holds[0] for it in premise()} == {name: it.mmap_sem for name, it in CALLERS.items()}


def test_a_granted_premise_helps_against_those_who_want_mmap_sem_to_write(found: Claims) -> None:
    """It stops munmap, and neither an exit, which takes none, nor a growing stack, which shares it."""
    granted = {(it.caller, it.disturber): it.verdict for it in found.cells if it.granted}
    for caller in ("move_pages", "compaction"):
        verdicts = {it: granted[caller, it] for it in ("exit", "munmap", "MADV_DONTNEED", "stack growth")}
        assert verdicts == {"exit": "unsafe", "munmap": "safe", "MADV_DONTNEED": "safe", "stack growth": "unsafe"}


def test_as_it_is_munmap_of_a_relative_is_enough(found: Claims) -> None:
    """Nobody holds the child's mmap_sem."""
    as_it_is = {(it.caller, it.disturber): it.verdict for it in found.cells if not it.granted}
    assert as_it_is["move_pages", "munmap"] == as_it_is["compaction", "munmap"] == "unsafe"


def test_linux_3_7_is_safe_in_every_cell(found: Claims) -> None:
    """The control: the same worlds with the lock."""
    assert {it.control for it in found.cells} == {"safe"}


def test_every_unsafe_cell_can_be_played(found: Claims) -> None:
    """Its run name leads to the violation that the table names."""
    bad = [it for it in found.cells if it.verdict == "unsafe"]
    assert len(bad) > 5
    for it in bad:
        trace = replay(it.run_name)
        assert trace.violation is not None
        assert (trace.violation.kind, trace.violation.sentence) == (it.kind, it.sentence)


def test_the_command_prints_both_tables_and_the_same_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    """For the cells that were asked for."""
    asked = ["claims", "--callers", "compaction", "--disturbers", "exit"]
    assert main(asked) == 0
    text = capsys.readouterr().out
    assert "compaction   false" in text
    assert "compaction and exit: use after free" in text
    assert main([*asked, "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert [it["caller"] for it in data["premise"]] == list(CALLERS)
    assert [it["verdict"] for it in data["as_it_is"] + data["granted"]] == ["unsafe", "unsafe"]


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (["--callers", "compacton"], "nearest: compaction"),
        (["--disturbers", "exits"], "nearest: exit"),
        (["--limit", "0"], "at least 1 state"),
    ],
)
def test_bad_input_names_the_remedy(more: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    """One line, exit code 2."""
    assert main(["claims", *more]) == 2
    assert says in capsys.readouterr().err


def test_every_disturber_says_what_it_holds_and_where() -> None:
    """Those that exit hold nothing; those of the same process share it."""
    assert {name: it.mmap_sem for name, it in DISTURBERS.items() if it.mmap_sem != "write"} == {
        "exit": "",
        "MADV_DONTNEED": "read",
        "stack growth": "read",
        "neighbour fault": "read",
    }
    assert all(it.source.endswith("(v3.7)") for it in DISTURBERS.values())
