"""What pages and frames are called: one name never means two things."""

from __future__ import annotations

from functools import partial

import pytest

from sim.setup import Builder
from sim.user import user_write
from sim.worlds import WORLDS, World
from sim.worlds.moving import mover
from tests.vizlib import runs
from vizlib.moments import Run
from vizlib.names import short_frame
from vizlib.showcase import showcase
from vizlib.stills import Stage, stills


def _of_one_number() -> Builder:
    """Two processes that are no kin, each with a page 0: one page moves while the other is written."""
    b = Builder()
    owner, stranger = b.mm(), b.mm("Q")
    b.page(b.vma(owner, "heap", 0, 1), 0, node=0, written=1)
    b.vma(stranger, "heap_Q", 0, 1)
    b.task("mover", b.cpu(0, 0), owner, partial(mover, vpns=(0,), node=1, passes=2), "moves page 0 to node 1")
    b.task("stranger", b.cpu(1, 0), stranger, partial(user_write, vpn=0), "writes its first page")
    return b


def test_a_page_that_moves_is_never_shown_in_the_frame_of_a_stranger(monkeypatch: pytest.MonkeyPatch) -> None:
    """The stranger has a page of the same number; the one whose PTE is cleared stays in its own frame."""
    monkeypatch.setitem(WORLDS, "one_number", World("one_number", "", "", {}, {}, _of_one_number))
    run = Run(showcase("one_number"))
    for shot in stills(run, Stage(run)):
        tokens = [(it.x, it.y, it.panel) for it in shot.marks.values() if it.shape == "token"]
        assert len(set(tokens)) == len(tokens), shot.moment.step


def test_the_short_name_of_a_frame_can_be_read_and_means_one_frame() -> None:
    """As many letters as there is room for, from the front; which of several tasks, and which frame, always."""
    assert [
        short_frame(it) for it in ("f0", "mover.f1", "worker.f1", "migrator.f1", "migrator-2.f1", "worker-12.f30")
    ] == [*("f0", "mover.f1", "worker.f1", "migrat…f1", "migr…2.f1", "wo…12.f30")]
    for name in runs.NAMES:
        frames = Run(runs.trace(*name)).frames
        assert len({short_frame(it) for it in frames}) == len(frames), name
