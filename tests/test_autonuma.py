"""The worlds after the autonuma benchmark: which process has what, whose lock, and how often it is gone over."""

from __future__ import annotations

import pytest

from sim import worlds
from sim.engines.timed import run
from sim.errors import BadParameter
from sim.setup import Setup
from sim.structs import AnonVma, Pte


def nodes(setup: Setup) -> list[int]:
    """The node of each mapped page, in the order of their making."""
    return [setup.memory[it.page.node] for it in setup.memory.values() if isinstance(it, Pte)]


def numa01(**params: int) -> Setup:
    """numa01 with 8 threads on 4 nodes, or as told."""
    return worlds.find("numa01").setup({"threads": 8, "pages": 6, **params})


def test_numa01_is_two_processes_that_share_nothing() -> None:
    """Two address spaces, two roots, threads of each on half of the nodes, pages on all nodes in turn."""
    setup = numa01()
    threads = [it for it in setup.tasks if not it.daemon]
    assert [(str(it.mm), it.node) for it in threads] == [
        *[("P", at // 2) for at in range(4)],
        *[("Q", at // 2) for at in range(4, 8)],
    ]
    roots = {value for place, value in setup.memory.items() if place.base == "root" and isinstance(value, AnonVma)}
    assert len(roots) == 2
    assert nodes(setup) == [1, 2, 3, 0, 1, 2] * 2


def test_each_thread_of_numa01_fills_all_of_its_region_and_with_thread_alloc_its_own_slice() -> None:
    """Six pages a process are filled by all four threads, or six pages a thread by that one."""
    written = {"numa01": 6 * 2, "numa01_thread_alloc": 6 * 8}
    for world, pages in written.items():
        setup = worlds.find(world).setup({"threads": 8, "pages": 6})
        assert len(nodes(setup)) == pages
        slices = {it.body.keywords["vpns"] for it in setup.tasks if not it.daemon and str(it.mm) == "P"}  # type: ignore[attr-defined]
        assert len(slices) == {"numa01": 1, "numa01_thread_alloc": 4}[world]


def test_half_the_threads_with_twice_the_slice_move_as_many_pages() -> None:
    """numa02 and its SMT form: the same region, the same locks, one hint more for each further range."""
    whole = run("numa02", "rwsem_v38", threads=8, pages=4)
    half = run("numa02", "rwsem_v38", threads=4, pages=4, ranges=2)
    assert whole.pages_migrated == half.pages_migrated == 32
    assert whole.counts["anon_vma_locks"] == half.counts["anon_vma_locks"] == 64
    assert whole.counts["faults"] == half.counts["faults"] == 8


def test_rounds_without_new_marks_cost_what_filling_costs() -> None:
    """Ten more rounds over four pages: forty fills, the page-table walks of the first hits aside."""
    once, often = (run("numa02", "rwsem_v38", threads=1, nodes=2, pages=4, rounds=rounds) for rounds in (1, 11))
    assert often.counts["page_copies"] == once.counts["page_copies"] == 4
    assert 40 * 400 <= often.elapsed_ns - once.elapsed_ns < 40 * 420


def test_on_one_node_no_page_is_wrong() -> None:
    """Hints fault and nothing moves."""
    found = run("numa02", threads=4, pages=2, nodes=1)
    assert (found.pages_migrated, found.counts["faults"], found.counts["page_copies"]) == (0, 4, 0)


def test_no_region_is_larger_than_1_gib() -> None:
    """128 threads with 16 MiB each are two of them."""
    with pytest.raises(BadParameter, match="more than 1 GiB"):
        worlds.find("numa02").setup({"threads": 128, "ranges": 8})
