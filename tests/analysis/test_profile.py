"""The profile of the mail: its two branches, their shares, and what becomes of them without a lock."""

from __future__ import annotations

import pytest

import sim
from sim.analysis.profile import Profile, profile
from sim.engines.costs import DEFAULT
from sim.engines.timed import run
from sim.ops import Kernel

MAIL = {
    "rmap_walk": "rmap_walk move_to_new_page migrate_pages migrate_misplaced_page __do_numa_page handle_pte_fault",
    "page_lock_anon_vma": "page_lock_anon_vma try_to_unmap_anon try_to_unmap migrate_pages migrate_misplaced_page"
    " __do_numa_page handle_pte_fault",
}
TAIL = "handle_mm_fault __do_page_fault do_page_fault page_fault __memset_sse2 worker_thread start_thread"


def numa02(variant: object = "mutex_v37", **options: object) -> Profile:
    """32 threads on 4 nodes, as in the mail; 16 pages each."""
    return profile(run("numa02", variant, threads=32, pages=16, nodes=4, **options))  # type: ignore[arg-type]


@pytest.mark.parametrize("factor", [1 / 3, 1, 3])
def test_under_hand_off_both_branches_are_half_within_two_standard_errors(factor: float) -> None:
    """Nearly all context switches come from the anon_vma mutex, from the two walks in equal parts, at any scale."""
    found = numa02(costs=DEFAULT.scaled(factor))
    assert found.share > 95
    assert [it.site for it in found.branches] in (
        ["rmap_walk", "page_lock_anon_vma"],
        ["page_lock_anon_vma", "rmap_walk"],
    )
    for branch in found.branches:
        assert abs(branch.share - 50) <= 2 * branch.error


def test_the_call_chains_are_the_mails() -> None:
    """Frame by frame as in the mail, without the functions that its compiler had inlined."""
    for branch in numa02().branches:
        chain = " ".join(branch.chain)
        assert chain.endswith(f"mutex_lock {MAIL[branch.site]} {TAIL}")


def no_lock(k: object, anon_vma: object, *flags: object) -> Kernel:
    """A lock that is none."""
    yield from ()


def test_without_the_lock_of_the_remap_walk_its_branch_is_gone() -> None:
    """The RFC's patch: all that is left comes from the unmap walk."""
    found = numa02("rfc_remap_unlocked")
    assert found.branch("rmap_walk").count == 0
    assert found.branch("page_lock_anon_vma").count > 0


def test_without_the_lock_of_the_unmap_walk_its_branch_is_gone() -> None:
    """The other half of the fix, alone: all that is left comes from the remap walk."""

    def page_lock(k: object, page: object, flags: object) -> Kernel:
        anon_vma = yield page.mapping  # type: ignore[attr-defined]
        return anon_vma

    variant = sim.variant("mutex_v37").changed("half", page_lock_anon_vma=page_lock, page_unlock_anon_vma=no_lock)
    found = numa02(variant)
    assert found.branch("page_lock_anon_vma").count == 0
    assert found.branch("rmap_walk").count > 0


def test_where_walkers_share_nobody_sleeps_on_the_lock() -> None:
    """Under the rwsem of 3.8 only the ends of the threads are left: a flat profile."""
    found = numa02("rwsem_v38")
    assert (found.anon_vma, found.branches) == (0, ())
    assert found.switches == 32


def test_with_stealing_the_shares_differ_from_the_mails() -> None:
    """The policy matters: the branches are then not equal, which says something of the machine behind the mail."""
    found = numa02(policy="steal")
    assert found.branches
    assert abs(found.branch("rmap_walk").share - 50) > 2 * found.branch("rmap_walk").error


def test_the_text_has_the_mails_form() -> None:
    """Per cent, command, symbol; then the chain, and a branch for each site."""
    text = str(numa02())
    assert "process 0  [kernel.kallsyms]  [k] perf_trace_sched_switch" in text
    assert "--- perf_trace_sched_switch" in text
    assert "%-- rmap_walk" in text
    assert "%-- page_lock_anon_vma" in text
