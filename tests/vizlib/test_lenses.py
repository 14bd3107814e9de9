"""What the machine looks like: states by shape and word, fixed places, a page that travels."""

from __future__ import annotations

import pytest

from sim.locks import holders
from sim.ops import CopyPage, HandleIpi, SendIpi, Xchg
from sim.structs import Page
from tests.vizlib import runs
from vizlib.lenses.lock import LockLens
from vizlib.lenses.page import slots_of
from vizlib.moments import Run
from vizlib.renderers.text import render
from vizlib.scene import Mark
from vizlib.showcase import showcase
from vizlib.stills import Stage, Still, stills


def shot_at(step: int, world: str = "one_page", variant: str = "mutex_v37") -> Still:
    return runs.shots(world, variant)[0][step]


def words(mark: Mark) -> str:
    return " ".join(text.s for text in mark.text)


def clearing() -> int:
    """The step at which the PTE is cleared."""
    return next(event.step for event in runs.events_of(runs.trace(), Xchg) if event.changes[0].field.base == "pte")


# --- nothing moves but what the step moves ---------------------------------------------------------------


@pytest.mark.parametrize("name", runs.NAMES, ids=" ".join)
def test_nothing_moves_but_the_users_page_and_arrows(name: tuple[str, str]) -> None:
    """Whoever looks at one place sees the same thing there in every step."""
    places: dict[str, tuple[str, float, float, float, float]] = {}
    for shot in runs.shots(*name)[0]:
        for mark in shot.marks.values():
            if mark.shape not in ("token", "arrow"):
                place = (mark.panel, mark.x, mark.y, mark.w, mark.h)
                assert places.setdefault(mark.id, place) == place, mark.id


@pytest.mark.parametrize("name", runs.NAMES, ids=" ".join)
def test_everything_stands_inside_its_panel(name: tuple[str, str]) -> None:
    """And no two frames, PTEs or CPUs stand on one another."""
    shots, stage = runs.shots(*name)
    panels = {it.id: it for it in stage.panels}
    for shot in shots:
        solid = [it for it in shot.marks.values() if it.id.startswith(("page:", "pte:", "rm:")) and it.shape != "arrow"]
        for mark in solid:
            panel = panels[mark.panel]
            assert 0 <= mark.x <= mark.x + mark.w <= panel.w, mark.id
            assert 0 <= mark.y <= mark.y + mark.h <= panel.h, mark.id
        for one in solid:
            for other in solid:
                if one.id < other.id and one.panel == other.panel:
                    apart = (
                        one.x + one.w <= other.x
                        or other.x + other.w <= one.x
                        or one.y + one.h <= other.y
                        or other.y + other.h <= one.y
                    )
                    assert apart, f"{one.id} and {other.id} at step {shot.moment.step}"


def test_panels_do_not_overlap_and_fit_a_phone() -> None:
    """Half of the plane is 274 wide; only the reverse map may be wider: 352; a family's takes all, the key below."""
    for name in runs.NAMES:
        family = name[0] in ("fork_during_migration", "relative_exits", "split_huge_page")
        panels = runs.shots(*name)[1].panels
        for panel in panels:
            wide = 560 if family and panel.id in ("rmap", "key") else 352 if panel.id == "rmap" else 274
            assert panel.w <= wide, panel.id
            assert panel.x + panel.w <= 560
        for one in panels:
            for other in panels:
                if one.id < other.id:
                    beside = one.x + one.w <= other.x or other.x + other.w <= one.x
                    assert beside or one.y + one.h <= other.y or other.y + other.h <= one.y, (one.id, other.id)


# --- the page travels ------------------------------------------------------------------------------------


def test_the_page_travels_to_the_other_node_when_it_is_copied() -> None:
    """Before the copy the token stands in a frame of node 0, from the copy on in one of node 1; old data stays old."""
    copy = runs.step_of(runs.trace(), CopyPage)
    before, after = shot_at(copy - 1), shot_at(copy)
    assert before.marks["token:P:0"].panel == "node:0"
    assert after.marks["token:P:0"].panel == "node:1"
    assert words(before.marks["page:f0"]).startswith("f0 write")
    assert "old p0" in words(after.marks["page:f0"])
    assert "empty" in words(before.marks["page:migrator.f1"])


@pytest.mark.parametrize("name", runs.NAMES, ids=" ".join)
def test_every_page_has_one_token_in_an_existing_frame(name: tuple[str, str]) -> None:
    """The token stands inside the mark of a frame that is drawn."""
    for shot in runs.shots(*name)[0]:
        frames = [it for it in shot.marks.values() if it.id.startswith("page:")]
        for token in (it for it in shot.marks.values() if it.id.startswith("token:")):
            inside = [
                it
                for it in frames
                if it.panel == token.panel and it.x <= token.x and token.x + token.w <= it.x + it.w
                and it.y <= token.y and token.y + token.h <= it.y + it.h
            ]  # fmt: skip
            assert len(inside) == 1, token.id


def test_a_failed_move_puts_the_page_back() -> None:
    """A pinned page is unmapped, not copied, and mapped again in its old frame: its token never leaves node 0."""
    shots, _ = runs.shots("move_pages?pages=2,spinners=2,pinned=1")
    seen = {shot.marks["pte:P:0"].face for shot in shots}
    assert {"present", "migration"} <= seen
    assert {shot.marks["token:P:0"].panel for shot in shots} == {"node:0"}
    assert {shot.marks["token:P:1"].panel for shot in shots} == {"node:0", "node:1"}


def test_the_copy_is_announced_and_then_drawn() -> None:
    """Dotted while it must not happen, solid in the step that does it, gone afterwards."""
    copy = runs.step_of(runs.trace(), CopyPage)
    announced, done = shot_at(clearing()).marks["copy:P:0"], shot_at(copy).marks["copy:P:0"]
    assert (announced.dotted, words(announced)) == (True, "no copy before the flush")
    assert (done.dotted, words(done)) == (False, "copies 4 KiB")
    assert "copy:P:0" not in shot_at(copy + 1).marks
    assert done.ends == ("page:f0", "page:migrator.f1")


# --- PTEs and TLBs ---------------------------------------------------------------------------------------


def test_a_pte_shows_each_state_by_word_and_shape() -> None:
    """Present, cleared, migration entry, present again: never by colour alone."""
    faces = [shot.marks["pte:P:0"] for shot in runs.shots()[0]]
    order = list(dict.fromkeys(it.face for it in faces))
    assert order == ["present", "cleared", "migration"]
    assert faces[-1].face == "present"
    by_face = {it.face: it for it in faces}
    assert "migration entry → f0" in words(by_face["migration"])
    assert by_face["migration"].dashed
    assert "cleared" in words(by_face["cleared"])
    assert by_face["cleared"].bold
    assert words(shot_at(0).marks["pte:P:5"]) == "p5 none"


def test_a_pte_in_which_nothing_has_stood_is_none_and_not_cleared() -> None:
    """A child that is not forked yet has no PTE that could have been cleared, though its page's data lie in a frame."""
    faces = [shot.marks["pte:child.mm1:0"].face for shot in runs.shots("fork_during_migration")[0]]
    assert faces[0] == "none"
    assert "present" in faces
    assert "cleared" not in faces[: faces.index("present")]


def test_a_numa_hint_is_dotted_and_says_no_access() -> None:
    """It maps a frame, and yet nobody may touch it."""
    hints = [it for it in shot_at(0, "numa_only").marks.values() if it.face == "prot_none"]
    assert len(hints) == 2
    for hint in hints:
        assert hint.dotted
        assert "no access" in words(hint)


def pmd_faces(world: str, variant: str, name: str = "pmd:P:0") -> list[Mark]:
    """One PMD of a run in each of its states, once each, in order."""
    shots = [shot.marks[name] for shot in runs.shots(world, variant)[0]]
    return list({it.face: it for it in shots}.values())


def test_a_pmd_of_a_huge_page_shows_each_state_by_word_and_shape() -> None:
    """Huge, closed for a moment, on its way under a dashed entry; splitting, a page table: never by colour alone."""
    faces = pmd_faces("huge_page_moves", "thp_v414")
    assert [it.face for it in faces] == ["huge", "not_present", "migration"]
    huge, closed, migration = map(words, faces)
    assert ("huge page" in huge, "closed" in closed, "entry → f0" in migration) == (True, True, True)
    assert faces[2].dashed
    faces = pmd_faces("huge_page_moves", "mutex_v37")
    assert [it.face for it in faces] == ["huge", "splitting", "not_present", "table"]
    assert words(faces[3]) == "p0 to p511 page table pt0"
    assert faces[0].say == "PMD of p0 to p511: huge page → f0, dirty"


def test_a_pmd_has_an_arrow_to_the_head_and_says_which_page_moves() -> None:
    """Solid to the huge page, dashed while it migrates, gone where a page table stands."""
    its = {
        shot.marks["pmd:P:0"].face: shot.marks.get("map:P:huge:0")
        for shot in runs.shots("huge_page_moves", "thp_v414")[0]
    }
    assert its["huge"] is not None
    assert its["migration"] is not None
    assert its["huge"].ends == ("pmd:P:0", "page:mover.f1")
    assert its["migration"].dashed
    split = {
        shot.marks["pmd:P:0"].face: shot.marks.get("map:P:huge:0")
        for shot in runs.shots("huge_page_moves", "mutex_v37")[0]
    }
    assert split["table"] is None


def test_a_pte_in_a_huge_page_says_so_until_the_split() -> None:
    """It is not cleared: its page table is put by."""
    faces = list(dict.fromkeys(shot.marks["pte:P:0"].face for shot in runs.shots("huge_page_moves", "mutex_v37")[0]))
    assert faces[:2] == ["huge", "present"]
    assert "in a huge page" in words(shot_at(0, "huge_page_moves").marks["pte:P:0"])


def test_the_tails_of_a_huge_page_are_frames_too() -> None:
    """They have no references of their own, and come and go with their head."""
    shots = runs.shots("huge_page_moves", "thp_v414")[0]
    assert {"page:f0", "page:f0.1"} <= set(shots[0].marks)
    assert {"page:mover.f1", "page:mover.f1.1"} <= set(shots[-1].marks)
    assert "page:f0.1" not in shots[-1].marks
    assert words(shots[0].marks["page:f0.1"]) == "f0.1 p1 write 1"
    copied = next(it for it in shots if "old p0" in words(it.marks["page:f0"]))
    assert [it for it in ("page:f0.1", "page:mover.f1.1") if "old" in words(copied.marks[it])] == ["page:f0.1"]


def test_the_page_directory_is_there_only_if_it_maps_huge_pages() -> None:
    """In text as in the picture; other runs look as they did."""
    told = render(runs.trace("huge_page_moves", "thp_v414"), 0)
    assert "Page directory of P (one entry for 2 MiB)\n  PMD of p0 to p511: huge page → f0, dirty" in told
    assert not any(it.startswith("pd:") for it in runs.shots()[1].places.panels)


def test_a_tlb_entry_turns_stale_when_the_pte_is_cleared() -> None:
    """Solid before, dashed and called stale from the clearing on, gone with the interrupt."""
    at = clearing()
    assert not shot_at(at - 1).marks["tlb:cpu1:P:0"].dashed
    stale = shot_at(at).marks["tlb:cpu1:P:0"]
    assert (stale.dashed, stale.face) == (True, "stale")
    assert "stale" in words(stale)
    assert "tlb:cpu1:P:0" not in shot_at(runs.step_of(runs.trace(), HandleIpi)).marks


def test_an_interrupt_is_an_arrow_until_it_is_taken() -> None:
    """From the sender's CPU to the one that has not answered; both CPUs say what they are at."""
    sent, taken = runs.step_of(runs.trace(), SendIpi), runs.step_of(runs.trace(), HandleIpi)
    for step in range(sent, taken):
        marks = shot_at(step).marks
        assert marks["ipi:cpu0:cpu1"].ends == ("cpu:cpu0", "cpu:cpu1")
        assert "waits for 1 answer" in words(marks["cpu:cpu0"])
        assert "interrupt pending: drop p0" in words(marks["cpu:cpu1"])
    assert "ipi:cpu0:cpu1" not in shot_at(taken).marks


# --- the reverse map -------------------------------------------------------------------------------------


def test_a_link_out_of_the_tree_is_dashed_and_loses_its_arrow() -> None:
    """While the stack grows, no walk finds the VMA."""
    shots, _ = runs.shots("stack_grows")
    out = [shot for shot in shots if shot.marks["rm:avc_stack"].face == "out"]
    assert out
    for shot in shots:
        linked = shot.marks["rm:avc_stack"].face == "linked"
        assert ("rm:A_stack>avc_stack" in shot.marks) == linked
        assert shot.marks["rm:avc_stack"].dashed != linked
        assert ("not in tree" in words(shot.marks["rm:avc_stack"])) != linked


def test_a_vma_between_two_stores_is_torn() -> None:
    """vm_start and vm_pgoff disagree for the steps between them, and only for those."""
    shots, _ = runs.shots("stack_grows")
    torn = [shot for shot in shots if shot.marks["rm:stack"].face == "torn"]
    assert torn
    for shot in torn:
        assert "torn!" in words(shot.marks["rm:stack"])
        assert shots[shot.moment.step - 1].marks["rm:stack"].face == "whole"
        assert shots[shot.moment.step + 1].marks["rm:stack"].face == "whole"


def test_a_copy_is_drawn_for_the_page_that_is_copied() -> None:
    """Two processes have a page p0 each: when one is copied, nothing is drawn for the other."""
    run = Run(runs.trace("numa01"))
    copies = [
        [it.id for it in shot.marks.values() if it.id.startswith("copy:") and not it.dotted]
        for shot in stills(run, Stage(run))
        if shot.moment.event is not None and isinstance(shot.moment.event.op, CopyPage)
    ]
    assert copies
    assert all(len(its) == 1 for its in copies), copies


# --- much does not fit -----------------------------------------------------------------------------------


def test_what_does_not_fit_is_counted_not_dropped_in_silence() -> None:
    """64 pages, 32 threads: eight PTEs, eight frames a node, eight CPUs, and a note that says how many more."""
    run = Run(showcase("move_pages?pages=64,spinners=31"))
    stage = Stage(run)
    shot = next(iter(stills(run, stage, 0)))
    notes = {panel.id: panel.note for panel in stage.panels}
    assert sum(name.startswith("pte:") for name in shot.marks) == 8
    assert notes["pt:1"] == "56 more not shown"
    assert notes["node:0"] == "56 more not shown"
    assert [panel.id for panel in stage.panels if panel.id.startswith("cpu:")] == [f"cpu:cpu{it}" for it in range(8)]
    assert notes["cpu:cpu7"] == "and 24 more"
    assert len(shot.marks) < 150


def test_every_mark_that_means_something_can_be_read_aloud() -> None:
    """Frames, PTEs, TLB entries, CPUs, tokens, arrows: each says in words what it shows."""
    for name in runs.NAMES:
        for shot in runs.shots(*name)[0]:
            for mark in shot.marks.values():
                silent = mark.id.startswith(("slot:", "key:")) or ":slot" in mark.id
                assert silent or mark.say, mark.id


def test_frames_that_live_together_never_share_a_slot() -> None:
    """A frame keeps its slot from its allocation to its end; the next one may have it in the step after."""
    lives = {Page("a"): (0, 0, 9), Page("b"): (0, 3, 5), Page("c"): (0, 5, 8), Page("d"): (0, 10, 12)}
    assert slots_of(lives, list(lives)) == {Page("a"): 0, Page("b"): 1, Page("c"): 2, Page("d"): 0}


def test_many_page_locks_share_rows() -> None:
    """Two page locks are held at a time, so two rows do for sixteen; no lock that is held goes without a row."""
    run = Run(runs.trace("move_pages?pages=8,spinners=3"))
    lens = LockLens(run)
    ids = {name for moment in run.moments() for name in lens.locks_at(moment)}
    assert ids == {
        "lock:P.mmap_sem",
        "lock:Page.PG_locked:0",
        "lock:Page.PG_locked:1",
        "lock:A_heap.mutex",
        "lock:PageTable.ptl:0",
    }
    for moment in run.moments():
        shown = lens.locks_at(moment)
        held = sorted(repr(field) for field in run.locked if holders(moment.get(field)))
        assert len([it for it in shown.values() if it.holders]) == len(held), moment.step
        assert [it.rank for it in shown.values()] == sorted(it.rank for it in shown.values())


def test_a_family_of_three_generations_stands_in_order() -> None:
    """After two forks: each anon_vma below and right of the one that it descends from, no two marks on one place."""
    run = Run(showcase("fork_during_migration"))
    places = Stage(run).places
    boxes = {name: box for name, box in places.boxes.items() if name.startswith("rm:") and "page" not in name}
    grand = next(name for name in boxes if name.startswith("rm:child.av") and "avc" not in name)
    root, parent, child = (boxes[name] for name in ("rm:A_heap", "rm:A_heap_C", grand))
    assert root.x < parent.x < child.x
    assert root.y < parent.y < child.y
    spots = [(box.x, box.y) for box in boxes.values()]
    assert len(set(spots)) == len(spots)
    panel = places.panels["rmap"]
    assert all(box.right <= panel.w and box.bottom <= panel.h for box in boxes.values())


@pytest.mark.parametrize("world", ["relative_adjusts", "relative_exits", "neighbour_faults", "root_freed_first"])
def test_what_points_to_an_object_without_a_place_is_no_error(world: str) -> None:
    """A world with more AVCs than there is room for is drawn with those that have one."""
    run = Run(showcase(world))
    assert sum(1 for _ in stills(run, Stage(run))) == run.length + 1


def test_a_lazy_cpu_says_so_and_so_does_one_that_catches_up() -> None:
    """In a modern kernel: nobody interrupts it, and it looks what it has missed before its thread runs."""
    shots = runs.shots("move_pages?pages=2,spinners=1,stale_cpu=1", "v61")[0]
    assert {words(shot.marks["cpu:cpu2"]) for shot in shots} == {"swapper@cpu2 idle TLB lazy"}
    assert any("made what it lacked" in words(shot.marks["cpu:cpu0"]) for shot in shots)
