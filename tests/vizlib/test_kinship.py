"""The family graph says what the memory says: generations, links, and where a walk has been."""

from __future__ import annotations

from pathlib import Path

import pytest

import vizlib
from sim.structs import AnonVma
from sim.trace import Trace
from tests.vizlib import runs
from vizlib.chrome.family import walk_marks
from vizlib.lenses.family import FamilyLens
from vizlib.lenses.kinship import descent, walks_after, walks_at
from vizlib.moments import Run
from vizlib.renderers import text
from vizlib.renderers.mpl import render_family, save
from vizlib.showcase import showcase

FORK = ("fork_during_migration", "mutex_v37")


def last(run: Trace) -> tuple[FamilyLens, Run]:
    """The lens of a run."""
    whole = Run(run)
    return FamilyLens(whole), whole


def test_three_generations_leave_a_triangle() -> None:
    """Root, child, grandchild: one, two and three AVCs in the columns of their VMAs, in rows from the root down."""
    lens, run = last(runs.trace(*FORK))
    marks = {it.id: it for it in lens.marks(run.moment(run.length))}
    anon_vmas = [it for it in marks.values() if it.shape == "ellipse"]
    vmas = sorted((it for it in marks.values() if it.shape == "rect"), key=lambda it: it.x)
    assert sorted(anon_vmas, key=lambda it: it.y) == sorted(anon_vmas, key=lambda it: it.x)
    assert len(anon_vmas) == 3
    middles = [it.x + it.w / 2 for it in marks.values() if it.shape == "diamond"]
    assert [middles.count(it.x + it.w / 2) for it in vmas] == [1, 2, 3]


def test_generations_come_from_the_links() -> None:
    """A root is generation 0; of two families that have nothing to do with each other both have one."""
    run = Run(runs.trace(*FORK))
    family = descent(run, [it.ref for it in run.first if isinstance(it.ref, AnonVma) and it.base == "root"])
    assert [str(it) for it in family] == ["A_heap", "A_heap_C"]
    assert list(family.values()) == [0, 1]
    assert set(FamilyLens(Run(showcase("numa01"))).nodes) > set()
    strangers = [it for it in FamilyLens(Run(showcase("numa01"))).nodes if isinstance(it, AnonVma)]
    assert set(descent(Run(showcase("numa01")), strangers).values()) == {0}


@pytest.mark.parametrize("name", [FORK, ("relative_exits", "rfc_remap_unlocked"), ("split_huge_page", "rwsem_v38_rc1")])
def test_nothing_of_the_family_moves_or_covers_another(name: tuple[str, str]) -> None:
    """Each object has one place for the whole run, inside the plane; an AVC stands in the column of its VMA."""
    lens, run = last(runs.trace(*name))
    seen: dict[str, tuple[float, ...]] = {}
    for moment in run.moments():
        solid = [it for it in lens.marks(moment) if it.shape not in ("arrow", "text")]
        for mark in solid:
            place = (mark.x, mark.y, mark.x + mark.w, mark.y + mark.h)
            assert seen.setdefault(mark.id, place) == place
            assert 0 <= place[0] < place[2] <= lens.panel.w
            assert 0 <= place[1] < place[3] <= lens.panel.h
    boxes = list(seen.values())
    for at, one in enumerate(boxes):
        for other in boxes[:at]:
            apart = one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]
            assert apart, (one, other)


def test_a_walk_stops_at_every_vma_of_the_tree_and_ends_when_it_returns() -> None:
    """Both walks of a move, in the order in which the kernel's function read them; between them nobody walks."""
    run = Run(runs.trace(*FORK))
    walks: object = {}
    seen: dict[str, list[str]] = {}
    idle = 0
    for moment in run.moments():
        walks = walks_after(walks, moment)  # type: ignore[arg-type]  # the last answer
        assert isinstance(walks, dict)
        idle += not walks
        for it in walks.values():
            seen[it.function] = [str(moment.get(stop.vma)) for stop in it.stops]
    assert seen == {"try_to_unmap_anon": ["heap", "heap_C"], "rmap_walk_anon": ["heap", "heap_C"]}
    assert 50 < idle < run.length
    assert walks_at(run, run.length) == {}


def test_a_walk_that_is_cut_short_by_a_bug_still_stands_where_it_stood() -> None:
    """The counterexample of a relative that exits: the walker is at the AVC that is at fault."""
    lens, run = last(runs.trace("relative_exits", "rfc_remap_unlocked"))
    moment = run.moment(run.length)
    (walk,) = walks_at(run, run.length).values()
    marks = [it.id for it in walk_marks(lens, {"mover": walk}, moment)]
    assert "walk:mover" in marks
    assert walk.function == "rmap_walk_anon"


def test_the_picture_and_its_words_are_the_same_every_time(tmp_path: Path) -> None:
    """The figure twice, and a twin in words that names everybody; a step that does not exist is refused."""
    run = runs.trace(*FORK)
    for name in "ab":
        save(render_family(run, 140), tmp_path / f"{name}.svg")
    found = (tmp_path / "a.svg").read_text(encoding="utf-8")
    assert found == (tmp_path / "b.svg").read_text(encoding="utf-8")
    words = text.family(run, 140)
    assert "mover walks A_heap in rmap_walk_anon: stop 1, avc_heap, VMA heap" in words
    assert "avc_heap → avc(heap_C,A_heap) in the interval tree" in words
    assert "Nobody walks." in text.family(run, 0)
    with pytest.raises(IndexError, match="step 999 is not between 0 and"):
        vizlib.family(run, 999)
