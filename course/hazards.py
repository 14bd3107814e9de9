"""The hazards of the course's model, each with the worlds that show it, and the table of verdicts in the guide.

``python -m course.refresh`` writes the table into ``instructor/hazards.md`` from what the variants state, which the
tests hold against the checker; the prose around it is written by hand.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sim import variants
from sim.worlds import WORLDS

PAGE: Final = Path(__file__).parent / "instructor" / "hazards.md"
BEGIN, END = "<!-- verdicts -->", "<!-- /verdicts -->"

#: The columns, by history.
COLUMNS: Final = {
    "mutex_v37": "3.7",
    "rwsem_v38": "3.8",
    "v61": "6.1",
    "v612": "6.12",
    "rfc_remap_unlocked": "remap walk unlocked",
    "rfc_split_unlocked": "both, for migration",
    "rfc_unmap_unlocked_all": "both, for all",
    "rfc_as_posted": "second RFC as mailed",
}


@dataclass(frozen=True, slots=True)
class Hazard:
    """What can go wrong, in a few words, and the worlds that show it (each with its tilde forms)."""

    name: str
    what: str
    worlds: tuple[str, ...]


BATCHED: Final = (
    "write_during_copy",
    "frame_reused",
    "read_after_remap",
    "munmap_pending_flush",
    "pinned_in_time",
    "fault_waits",
    "batch_deadlock",
    "write_during_pageout",
    "nested_reclaim",
    "clean_page_reclaimed",
)

HAZARDS: Final = (
    Hazard("H1", "a relative's exit frees the link or the VMA that the walk stands on", ("relative_exits",)),
    Hazard("H2", "a relative's VMA is out of its tree while its bounds change", ("relative_adjusts",)),
    Hazard("H3", "a stack grows: the same, in one process, with mmap_sem read on both sides", ("stack_grows",)),
    Hazard("H4", "a neighbour's first fault inserts a link, and the tree rotates", ("neighbour_faults",)),
    Hazard("H5", "a page table is freed under the walk", ("page_table_freed",)),
    Hazard("H6", "an anon_vma is freed, or another family's by now", ("reclaim_vs_exit", "anon_vma_recycled")),
    Hazard("H7", "an unlock without a lock", ("unbalanced_unlock",)),
    Hazard("H8", "a marked PTE is not flushed, for whoever marked it will", ("numa_mark_window", "numa_huge_window")),
    Hazard("H10", "a fork copies a migration entry", ("fork_during_migration",)),
    Hazard("H11", "mremap moves a PTE past the walk", ("mremap_during_migration", "mremap_fresh_vma")),
    Hazard("H12", "exec moves its stack inside one VMA", ("exec_stack",)),
    Hazard("H15", "somebody else has a reference to the frame", ("pinned_page", "munmap_gathers")),
    Hazard("H18", "an allocation under the lock reclaims", ("reclaim_under_lock",)),
    Hazard("H19", "mmap_sem inside the anon_vma lock", ("mlock_inversion",)),
    Hazard("H20", "the root is freed before its member", ("root_freed_first",)),
    Hazard("H21", "two relatives split one huge page at once", ("split_huge_page",)),
    Hazard("H22", "a reader reads again behind a writer that queues", ("nested_reader",)),
    Hazard("late flush", "mremap flushes after the page tables' locks are given back", ("mremap_stale_tlb",)),
    Hazard("huge move", "mremap moves a huge page past its split", ("huge_page_remapped",)),
    Hazard("huge split", "fork or munmap meets a huge page being split", ("huge_page_forked",)),
    Hazard("lazy TLB", "an idle CPU is not interrupted, and must look when it is back", ("lazy_tlb",)),
    Hazard("torn offset", "a first fault reads where a stack begins while it grows", ("stack_index",)),
    Hazard("collapse", "khugepaged hides a page table", ("khugepaged_collapse",)),
    Hazard("empty PTE", "a fault comes between the clearing and the entry", ("empty_pte",)),
    Hazard("two links", "a split: two VMAs cover one page for a while", ("vma_splits", "split_visited_twice")),
    Hazard("slot reused", "a page of the swap cache is another by now", ("swap_in_race", "swap_cache_moves")),
    Hazard("dropped", "MADV_DONTNEED under mmap_sem read", ("madv_dontneed",)),
    Hazard("flush late", "a copy, a free or a remap comes before the flush", BATCHED),
    Hazard("no mmap_sem", "compaction moves a shared page that is in use", ("compaction_moves",)),
)


def table() -> str:
    """The verdicts of every world of :data:`HAZARDS`, as Markdown."""
    head = ["hazard", "world", *COLUMNS.values()]
    rows = [head, ["---"] * len(head)]
    for hazard in HAZARDS:
        for world in hazard.worlds:
            names = [world, *(it.name for it in WORLDS.values() if it.base == world)]
            rows += [[hazard.name, f"`{it}`", *_verdicts(it)] for it in names]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _verdicts(world: str) -> list[str]:
    return [variants.find(it).verdicts[world] for it in COLUMNS]


def page(text: str) -> str:
    """The guide's page *text* with the present table in it."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"
