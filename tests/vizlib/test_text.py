"""The text renderer: a picture that can be reviewed as a difference of lines.

The pictures stand in ``snapshots/``.  After a change that was meant, ``RMAPWALK_SNAPSHOTS=write pytest tests/vizlib``
writes them anew; a mismatch leaves the new one beside the old as ``NAME.changed``.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

import vizlib
from sim.ops import CopyPage, HandleIpi, SendIpi
from tests.vizlib import runs
from vizlib.renderers.text import render, transcript

SNAPSHOTS = Path(__file__).parent / "snapshots"


def compare(name: str, found: str) -> None:
    """Hold *found* against the stored picture, without line numbers: those of the kernel code change for no reason."""
    found = re.sub(r"\.py:\d+  ", ".py  ", found)
    stored, changed = SNAPSHOTS / f"{name}.txt", SNAPSHOTS / f"{name}.changed"
    if os.environ.get("RMAPWALK_SNAPSHOTS") == "write":
        SNAPSHOTS.mkdir(exist_ok=True)
        stored.write_text(found, encoding="utf-8")
    if stored.read_text(encoding="utf-8") != found:
        changed.write_text(found, encoding="utf-8")
        pytest.fail(f"compare {stored} with {changed}")
    changed.unlink(missing_ok=True)


def test_the_start_of_one_page() -> None:
    """Nothing has happened; everything has its place."""
    compare("one_page-start", render(runs.trace(), 0))


def test_a_stale_tlb_entry() -> None:
    """The interrupt is on its way, CPU 1 still has its entry, the copy may not begin."""
    compare("one_page-interrupt", render(runs.trace(), runs.step_of(runs.trace(), SendIpi)))


def test_the_copy() -> None:
    """The page is in its new frame, the PTE still a migration entry."""
    compare("one_page-copy", render(runs.trace(), runs.step_of(runs.trace(), CopyPage)))


def test_the_counterexample() -> None:
    """The last step of the shortest counterexample, with its violation."""
    run = runs.trace("stack_grows", "rfc_remap_unlocked")
    found = render(run)
    assert "stale migration entry" in found
    compare("stack_grows-stale-entry", found)


def test_the_transcript_has_a_line_a_step() -> None:
    """Numbered from 0, so that a lesson can be completed from it alone."""
    lines = transcript(runs.trace()).splitlines()
    assert len(lines) == len(runs.trace().events) + 1
    assert [int(line.split()[0]) for line in lines] == list(range(len(lines)))


def test_a_step_that_does_not_exist_is_refused() -> None:
    """With the steps that do."""
    with pytest.raises(IndexError, match="step 999 is not between 0 and"):
        render(runs.trace(), 999)


def test_the_notebooks_name_for_it() -> None:
    """``vizlib.text`` is the last step unless one is named."""
    last = len(runs.trace().events)
    assert vizlib.text(runs.trace()) == render(runs.trace(), last)
    step = runs.step_of(runs.trace(), HandleIpi)
    assert f"step {step} of {last}" in vizlib.text(runs.trace(), step)
