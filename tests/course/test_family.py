"""Lesson 2: a family grown by hand is the kernel's, and what its checks accept."""

from __future__ import annotations

import math
import re
from typing import Any

import pytest

from course import check
from course.family import Family, Refused, grown
from course.family_checks import HIDDEN, PUZZLE, observed, puzzled, visits
from course.family_picture import picture, workbench
from course.instructor import solutions_02
from sim import Stepper
from sim import check as check_world
from sim.structs import AnonVma

THREE = (("touch", "P", 0), ("fork", "P", "C"), ("fork", "C", "G"))


def test_the_graph_after_two_forks_is_the_kernels() -> None:
    """Chains of one, two and three links, trees of three, two and one, and one root: as mm/rmap.c:239 and 272 say."""
    family = grown(THREE)
    trees = {
        family.names[it]: [family.names[family.get(avc.vma)] for avc in family.tree(it)] for it in family.anon_vmas()
    }
    assert trees == {"A_P": ["vP", "vC", "vG"], "A_C": ["vC", "vG"], "A_G": ["vG"]}
    assert family.links() == {"vP": 1, "vC": 2, "vG": 3}
    assert family.locks() == {"A_P"}
    counts = {family.names[it]: family.get(it.refcount) for it in family.anon_vmas()}
    assert counts == {"A_P": 3, "A_C": 1, "A_G": 1}


@pytest.mark.parametrize("steps", [PUZZLE, *HIDDEN.values()])
def test_a_walk_finds_what_a_search_of_every_page_table_finds(steps: Any) -> None:
    """And the mapcount says the same."""
    family = grown(steps)
    assert family.frames
    for frame in family.frames:
        found = [(it.vma, it.page) for it in family.walk(frame) if it.mapped]
        assert len(found) == len(family.ptes(frame)) == family.get(family.called(frame)._mapcount) + 1
        assert {page for _, page in found} == {page for _, page in family.ptes(frame)}


def test_a_walk_changes_nothing() -> None:
    """It can be asked for as often as one likes."""
    family = grown(THREE)
    before = dict(family.memory)
    assert family.walk("f0") == family.walk("f0")
    assert family.memory == before


def test_a_copy_hangs_on_the_anon_vma_of_who_wrote() -> None:
    """Gate c: C and whoever descends from it; also when C is gone."""
    family = grown([*THREE[:2], ("touch", "C"), ("fork", "C", "G"), ("exit", "C")])
    assert [it.vma for it in family.walk("f1")] == ["vG"]
    assert "A_C" in {family.names[it] for it in family.anon_vmas()}


def test_an_anon_vma_goes_with_its_last_vma() -> None:
    """The kernel frees it, and then nothing of that name is there."""
    family = grown([*THREE, ("exit", "G")])
    with pytest.raises(Refused, match="there is no A_G"):
        family.called("A_G")
    assert all(isinstance(it, AnonVma) for it in family.anon_vmas())


def test_a_page_can_stand_at_another_address_in_a_relative() -> None:
    """After mremap the VMA's offset leads to it, and nothing in the page says where it is."""
    family = grown(HIDDEN["a child that has moved a page"])
    assert family.ptes("f0") == [("P", 1), ("C", 7)]
    assert [it.page for it in family.walk("f0") if it.mapped] == [1, 7]


def test_two_that_touch_after_the_fork_are_no_relatives() -> None:
    """There was no anon_vma to hang on, so each has a root of its own."""
    family = Family().fork("P", "C").touch("P").touch("C")
    assert family.locks() == {"A_P", "A_C"}
    assert family.told().count("root;") == 2
    assert "has no anon_vma yet" in Family().told()


@pytest.mark.parametrize(
    ("steps", "fault"),
    [
        ([("touch", "Q")], "Q has no memory; P has"),
        ([("exit", "P"), ("touch", "P")], "step 2.*P has no memory; nobody has"),
        ([("touch", "P", 7)], "P has nothing mapped at page 7"),
        ([("fork", "P", "P")], "'P' cannot name a child"),
        ([("fork", "P")], "step 1.*child"),
        ([("spoon", "P")], "no operation 'spoon'; there are touch, fork"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(steps: Any, fault: str) -> None:
    """With the number of the step."""
    with pytest.raises(Refused, match=fault):
        grown(steps)


def test_what_is_not_mapped_has_no_frame() -> None:
    """And the sentence says why."""
    assert grown(THREE).frame("G") == "f0"
    with pytest.raises(Refused, match="P has no frame at page 1: it has not touched it"):
        grown(THREE).frame("P", 1)


# --- the run of the lesson -----------------------------------------------------------------------------------------


def test_both_walks_of_the_run_visit_the_same_three() -> None:
    """Each replaces three PTEs, the parents' before the children's; and no order of that world goes wrong."""
    stepper = Stepper("fork_during_migration", "mutex_v37")
    found = visits(stepper.run("child").finish().trace)
    walks = [[(vma, pte) for _, walk, vma, pte in found if walk == name] for name in ("unmap walk", "remap walk")]
    assert walks[0] == walks[1]
    assert [vma for vma, _ in walks[0]] == ["heap", "heap_C", "child.vma2"]
    assert all(pte for _, pte in walks[0])
    assert check_world("fork_during_migration", "mutex_v37").verdict == "safe"


def test_a_walk_that_finds_nothing_says_so() -> None:
    """P touched the page after its child was forked.  The first walk stops when nobody maps the page any more; the
    second cannot know that it is through.
    """
    found = visits(Stepper("relative_exits", "mutex_v37").run("mover").trace)
    assert [(walk, vma, pte != "") for _, walk, vma, pte in found] == [
        ("unmap walk", "heap", True),
        ("remap walk", "heap", True),
        ("remap walk", "heap_C", False),
    ]


# --- exercises -----------------------------------------------------------------------------------------------------


def test_the_tables_come_from_runs() -> None:
    """And are these."""
    assert puzzled() == solutions_02.GOOD["L02.2"]
    assert observed() == solutions_02.GOOD["L02.3"]
    assert set(observed().values()) == {"anon_vma lock", "mmap_sem", "ptl", "none"}


def test_a_readers_function_runs_under_the_lock_and_is_stopped_if_it_never_ends() -> None:
    """A loop that yields nothing does not hang the lesson; one that yields for ever is for the reader to stop."""

    def round_and_round(k: Any, page: Any) -> Any:
        yield page.mapping
        while True:
            math.sqrt(2)

    report = check("L02.5", round_and_round)
    assert not report.ok
    assert "never gives the CPU away" in repr(report)
    held: list[Any] = []

    def looks(k: Any, page: Any) -> Any:
        anon_vma = yield page.mapping
        root = yield anon_vma.root
        holder = yield root.mutex
        held.append(holder)
        return []

    assert not check("L02.5", looks).ok
    assert held
    assert all(held)


# --- the bench -----------------------------------------------------------------------------------------------------


def test_buttons_grow_a_family_and_walk() -> None:
    """Touch, fork, and two stops; what is refused is said and changes nothing; undo takes back."""
    bench = workbench()
    process, page, fork, touch, munmap, leave, undo = bench.box.children[0].children
    frames, step = bench.box.children[1].children
    said = bench.box.children[2]
    step.click()
    assert "No frame yet" in said.value
    touch.click()
    fork.click()
    assert bench.family.done == (("touch", "P", 0), ("fork", "P", "C"))
    assert frames.value == "f0"
    step.click()
    assert said.value == "Stop 1: vP, its PTE of page 0 names f0."
    step.click()
    assert said.value.endswith("That was the last one.")
    step.click()
    assert said.value.startswith("Stop 1: vP")
    process.value, page.value = "C", 1
    munmap.click()
    assert process.value == "C"
    touch.click()
    assert "C has nothing mapped at page 1" in said.value
    assert len(bench.family.done) == 3
    undo.click()
    undo.click()
    assert bench.family.done == (("touch", "P", 0),)
    leave.click()
    undo.click()
    assert bench.family.done == (("touch", "P", 0),)
    undo.click()
    undo.click()
    assert bench.family.done == ()


def test_the_picture_numbers_the_stops() -> None:
    """It has the words of every process, and a number at each VMA that the walk has come to."""
    family = grown(THREE)
    words = re.findall(">([^<]+)</text>", picture(family, family.walk("f0")[:2], "f0").svg)
    assert {"vP", "vC", "vG", "A_P", "A_C", "A_G", "f0", "3 mappings", "root"} <= set(words)
    assert {"1", "2"} <= set(words)
    assert "3" not in words
    assert ">no PTE</text>" in picture(Family()).svg
