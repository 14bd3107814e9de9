"""Worlds in which VMAs and page tables are edited: which part of an edit it is that an unlocked walk falls over."""

from __future__ import annotations

from typing import Any

import pytest

from sim import variants
from sim.context import Context
from sim.engines.checker import check
from sim.ops import Kernel
from sim.structs import Vma
from sim.variants import Variant

RFC = variants.find("rfc_remap_unlocked")


def kinds(world: str, variant: str | Variant, **params: int) -> list[str]:
    """What is found first, if anything."""
    verdict = check(world, variant, params)
    assert verdict.violations or verdict.complete
    return [it.kind for it in verdict.violations]


@pytest.mark.parametrize("caller", [0, 1])
def test_it_makes_no_difference_who_moves_the_page_that_relatives_share(caller: int) -> None:
    """With move_pages, which holds the parent's mmap_sem, and with a kernel thread, which holds none."""
    assert kinds("relative_adjusts", RFC, caller=caller, passes=2) == ["stale migration entry"]
    assert kinds("relative_adjusts", "mutex_v37", caller=caller, passes=2) == []


def stays(k: Context, vma: Vma, address: int) -> Kernel:
    """``expand_downwards`` that does nothing: in exec, and in a fault on the lowest page of a stack."""
    yield from ()
    return 0


def test_exec_is_exposed_by_the_growth_at_its_end_and_by_nothing_before() -> None:
    """While the stack is temporary no entry of it exists; an unlocked walk fails over the growth that follows."""
    assert kinds("exec_stack", RFC) == ["stale migration entry"]
    assert kinds("exec_stack", RFC.changed("mine", **{"mmap.expand_downwards": stays})) == []


def in_place(k: Context, vma: Vma) -> Kernel:
    """A VMA that stays in its trees while its bounds change."""
    yield from ()


def test_a_rotation_alone_leads_an_unlocked_walk_astray() -> None:
    """Two links have none; the third of a tree makes one, while nothing is erased and no bounds are out of the tree."""
    nothing_erased: dict[str, Any] = {
        "mmap.anon_vma_interval_tree_pre_update_vma": in_place,
        "mmap.anon_vma_interval_tree_post_update_vma": in_place,
    }
    mine = RFC.changed("mine", **nothing_erased)
    (found,) = check("relative_adjusts", mine).violations
    assert found.kind == "stale migration entry"
