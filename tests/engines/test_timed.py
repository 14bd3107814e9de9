"""The timed engine: counts, throughput, policies, and the same schedule as the stepper's."""

from __future__ import annotations

import pytest

import sim
from sim.engines.charge import charge
from sim.engines.costs import DEFAULT, ROWS
from sim.engines.counts import count
from sim.engines.stepper import Stepper
from sim.engines.timed import POLICIES, run
from sim.errors import BadParameter, UnknownName
from sim.ops import Kernel


@pytest.mark.parametrize(("spinners", "ipis"), [(0, 0), (3, 1536)])
def test_two_mib_take_1024_locks_and_512_flushes(spinners: int, ipis: int) -> None:
    """512 pages: two walks, two locks and one flush each; each flush interrupts every other CPU of the process."""
    counts = run("move_pages", "mutex_v37", pages=512, spinners=spinners).counts
    assert (counts["unmap_walks"], counts["remap_walks"]) == (512, 512)
    assert counts["anon_vma_locks"] == 1024
    assert (counts["tlb_flushes"], counts["page_copies"]) == (512, 512)
    assert counts["ipis_received"] == ipis


@pytest.mark.parametrize("passes", [1, 2, 10])
def test_each_failed_attempt_of_a_pinned_page_adds_two_locks(passes: int) -> None:
    """A pinned page is unmapped and put back in every pass, and stays where it is."""
    free = run("move_pages", "mutex_v37", pages=4, passes=passes)
    pinned = run("move_pages", "mutex_v37", pages=4, pinned=1, passes=passes)
    assert (free.pages_migrated, pinned.pages_migrated) == (4, 3)
    assert pinned.counts["anon_vma_locks"] == free.counts["anon_vma_locks"] - 2 + 2 * passes


@pytest.mark.parametrize("policy", sorted(POLICIES))
@pytest.mark.parametrize("variant", ["mutex_v37", "rfc_remap_unlocked", "rwsem_v38"])
def test_a_timed_run_is_a_run_that_the_stepper_follows(policy: str, variant: str) -> None:
    """Its run name replays to the same events, the same memory and the same counts; charging it costs something."""
    timed = run("numa02", variant, policy=policy, threads=4, pages=3, nodes=2, record=True, seed=5)
    trace = sim.replay(timed.run_name)
    assert [it[1:] for it in timed.events] == [it[1:] for it in trace.events]
    counted = count(trace.events)
    assert {name: timed.counts[name] for name in counted} == counted
    events, times, end = charge("numa02", variant, timed.turns, threads=4, pages=3, nodes=2)
    assert [it[1:] for it in events] == [it[1:] for it in trace.events]
    assert times == sorted(times)
    assert end > 0


def test_the_same_seed_gives_the_same_run_and_another_seed_another() -> None:
    """Everything is determined by world, variant, policy, costs and seed."""
    runs = [run("numa02", threads=4, pages=4, nodes=2, seed=seed) for seed in (1, 1, 2)]
    assert runs[0].to_json() == runs[1].to_json()
    assert runs[0].schedule != runs[2].schedule


def test_throughput_grows_with_threads_only_where_walkers_share() -> None:
    """Under the mutex 16 threads are no faster than 4; under the rwsem they are, by more than half."""
    speed = {
        (variant, threads): run("numa02", variant, threads=threads, pages=16, nodes=4).pages_per_second
        for variant in ("mutex_v37", "rwsem_v38")
        for threads in (4, 16)
    }
    assert speed["mutex_v37", 16] <= speed["mutex_v37", 4]
    assert speed["rwsem_v38", 16] > 1.5 * speed["rwsem_v38", 4]


@pytest.mark.parametrize("row", [it.name for it in ROWS])
@pytest.mark.parametrize("factor", [1 / 3, 3])
def test_the_mutex_is_slower_whatever_one_row_of_the_costs_is(row: str, factor: float) -> None:
    """With any single cost at a third or at three times, the rwsem still moves more pages a second."""
    costs = DEFAULT.with_(row, DEFAULT[row] * factor)
    mutex, rwsem = (
        run("numa02", it, threads=8, pages=4, costs=costs).pages_per_second for it in ("mutex_v37", "rwsem_v38")
    )
    assert mutex < rwsem


def test_a_handed_off_lock_goes_to_who_has_slept_longest() -> None:
    """Under hand-off the sleepers get the lock in the order in which they fell asleep."""
    timed = run("numa02", "mutex_v37", threads=6, pages=4, nodes=2, record=True)
    sleeps = [it for it in timed.sleeps if it.field is not None]
    queue = [it.task for it in sorted(sleeps, key=lambda it: it.time)]
    woken = [it.task for it in sorted(sleeps, key=lambda it: it.time + it.duration)]
    assert woken == queue


def test_a_deadlock_is_reported_and_not_waited_for() -> None:
    """A variant that takes the lock twice ends with a violation, and the engine returns."""
    base = sim.variant("mutex_v37")

    def twice(k: object, anon_vma: object) -> Kernel:
        yield from base.seams["rmap_walk_anon_lock"](k, anon_vma)
        yield from base.seams["anon_vma_lock_write"](k, anon_vma)

    found = run("move_pages", base.changed("twice", rmap_walk_anon_lock=twice), pages=1).violation
    assert found is not None
    assert found.kind in ("deadlock", "lock order")


def test_bad_input_names_what_is_allowed() -> None:
    """An unknown policy or cost names the nearest; a negative cost is refused."""
    with pytest.raises(UnknownName, match="nearest: handoff"):
        run("one_page", policy="handof")
    with pytest.raises(UnknownName, match="copy_page"):
        DEFAULT.with_("copy_pag", 1)
    with pytest.raises(BadParameter, match="0 or more"):
        DEFAULT.with_("copy_page", -1)


def test_every_cost_has_a_source_or_says_that_it_is_illustrative() -> None:
    """No number stands there without a word on where it comes from."""
    assert all(row.source for row in ROWS)
    assert len({row.name for row in ROWS}) == len(ROWS)
    for row in ROWS:
        assert row.confidence in ("A", "B", "C")
        assert row.confidence == "C" or row.source != "illustrative"
        assert row.low <= row.ns <= row.high or row.low == row.high == 0


def test_readers_share_the_lock_but_not_its_cache_line() -> None:
    """A dearer line slows readers on many CPUs, not one thread alone, and not those who queue for a mutex."""

    def slower(variant: str, threads: int) -> float:
        dear, free = (DEFAULT.with_("rwsem_line", it) for it in (300, 0))
        fast, slow = (run("numa02", variant, threads=threads, pages=4, costs=it).elapsed_ns for it in (free, dear))
        return slow / fast

    assert slower("rwsem_v38", 1) == 1
    assert slower("rwsem_v38", 16) > 1.1
    assert slower("mutex_v37", 16) < 1.01


def test_copies_share_the_memory_of_a_node() -> None:
    """With so little bandwidth that a copy keeps a node busy for 20 us, many threads are no faster than that allows."""
    narrow = DEFAULT.with_("copy_memory", 20_000)
    found = run("numa02", "rwsem_v38", threads=16, pages=4, nodes=2, costs=narrow)
    assert found.elapsed_ns >= (16 * 4 - 1) * 20_000  # both nodes are busy with every copy
    assert run("numa02", "rwsem_v38", threads=1, pages=4, nodes=2, costs=narrow).elapsed_ns < 4 * 20_000 + 20_000


def test_an_interrupt_handler_delays_the_thread_of_its_cpu() -> None:
    """A costlier handler makes the run longer, although the handlers run beside the migrator."""
    slow = DEFAULT.with_("ipi_handler", 4000)
    assert (
        run("move_pages", pages=8, spinners=2, costs=slow).elapsed_ns
        > run("move_pages", pages=8, spinners=2).elapsed_ns
    )


def test_a_schedule_of_the_stepper_can_be_charged() -> None:
    """Any run, however it was made, has a time."""
    trace = Stepper("one_page").finish(7).trace
    _, times, end = charge("one_page", "mutex_v37", trace.turns)
    assert len(times) == len(trace.events)
    assert end >= times[-1]
