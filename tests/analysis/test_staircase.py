"""The staircase and the batch lab: what stops each kernel follows from utilisation, and a batch has its price."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, Future
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from sim import variants
from sim.__main__ import main
from sim.analysis.batches import Lab, batches, in_batches_of, percentile
from sim.analysis.staircase import RUNGS, Rung, Staircase, Step, staircase
from sim.engines.timed import run
from sim.errors import BadParameter
from vizlib.__main__ import main as vizlib

FEW, MANY = 2, 8


class Here(Executor):
    """Runs what it is given at once."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """As an executor, in this process."""
        done: Future[Any] = Future()
        done.set_result(fn(*args, **kwargs))
        return done


@cache
def stairs() -> Staircase:
    """Every rung with few threads and with many."""
    return staircase(threads=(FEW, MANY), pages=4, executor=Here())


@cache
def lab() -> Lab:
    """A region of 32 pages, singly and at once."""
    return batches((1, 8, 32), pages=32, writers=2, executor=Here())


def test_under_the_mutex_more_threads_bring_nothing_because_the_lock_is_always_held() -> None:
    """The rung that is named for its mutex is stopped by it, batches on the same kernel too."""
    for name in ("3.7: mutex", "batches of 2 MiB on 3.7"):
        its = stairs().series()[name]
        assert its[MANY] < 1.5 * its[FEW], name
        assert stairs().last(name).busiest == "AnonVma.mutex", name


def test_without_it_they_do_and_no_lock_is_saturated() -> None:
    """Readers that share, walks without any lock, and batches with the rwsem."""
    for name in ("3.8: rwsem", "no lock in either walk", "4.14: huge pages, whole", "6.3: rwsem, batches"):
        its = stairs().series()[name]
        assert its[MANY] > 2 * its[FEW], name
        assert not stairs().last(name).saturated, name


def test_what_becomes_dear_stops_a_kernel_that_nothing_stopped() -> None:
    """Slow interrupt handlers, little bandwidth, a slow line of the rwsem's count: named each, by utilisation alone."""
    rung = next(it for it in RUNGS if it.variant == "rwsem_v38")
    dear = {"ipi_handler": (40, "interrupts"), "copy_memory": (60, "memory"), "rwsem_line": (100, "count of ")}
    for row, (factor, name) in dear.items():
        found = staircase([rung], (MANY,), pages=4, costs={row: factor, "lru_add_drain_all": 0.01}, executor=Here())
        assert found.last(rung.name).busiest.startswith(name), row
        assert found.last(rung.name).saturated, row


def test_huge_pages_that_move_whole_are_bounded_by_none_of_what_bounds_small_ones() -> None:
    """Two walks and a flush for a whole slice: interrupts and the walks' lock are idle, and the copies remain."""
    rungs = [it for it in RUNGS if it.variant in ("rwsem_v38", "thp_v414")]
    found = staircase(rungs, (MANY,), pages=24, executor=Here())
    small, its = (found.last(it.name) for it in rungs)
    assert its.pages_per_second > small.pages_per_second
    for name in ("interrupts", "count of AnonVma.rwsem"):
        assert its.busy[name] < small.busy[name] / 2, name
    rung = rungs[-1]
    found = staircase([rung], (MANY,), pages=8, costs={"copy_memory": 60, "lru_add_drain_all": 0.01}, executor=Here())
    assert found.last(rung.name).saturated == ("memory",)


def test_a_rungs_own_parameters_are_those_of_its_runs() -> None:
    """A huge page is moved whole, or split where the kernel cannot; a slice of one page is none."""
    whole, split = (run("movers", it, threads=2, pages=4, huge=1) for it in ("thp_v414", "rwsem_v38"))
    assert whole.pages_migrated == split.pages_migrated == 8
    assert (whole.counts["unmap_walks"], split.counts["unmap_walks"]) == (2, 8)
    with pytest.raises(BadParameter, match="a huge page has at least 2"):
        run("movers", "thp_v414", threads=2, pages=1, huge=1)


def test_the_text_says_from_when_on_what_is_saturated() -> None:
    """One sentence a rung."""
    steps = [Step("a", 1, 10.0, {"lock": 0.3, "memory": 0.4}), Step("a", 4, 20.0, {"lock": 0.95, "memory": 0.5})]
    assert Staircase(steps, {}).verdicts() == ["a: lock is saturated from 4 threads on (95 % at 4)"]
    assert Staircase(steps[:1], {}).verdicts() == [
        "a: nothing alone is saturated up to 1 threads; busiest memory (40 %), lock (30 %)"
    ]
    lines = str(stairs()).splitlines()
    assert "simulated" in lines[0]
    assert lines[1].split() == [str(FEW), str(MANY), "threads"]
    assert len(lines) == 3 + 2 * len(RUNGS)


def test_every_rung_is_there_and_has_a_name_of_its_own() -> None:
    """Variants and worlds that exist; worlds that take a number of threads."""
    from sim import worlds

    assert len({it.name for it in RUNGS}) == len(RUNGS)
    for it in RUNGS:
        variants.find(it.variant)
        assert "threads" in worlds.find(it.world).params


def test_a_rung_can_be_of_another_world() -> None:
    """Whatever has threads."""
    found = staircase([Rung("hints", "rwsem_v38", "numa02")], (2,), pages=2, executor=Here())
    assert found.series()["hints"][2] == run("numa02", "rwsem_v38", threads=2, pages=2).pages_per_second


def test_larger_batches_interrupt_less_move_more_and_let_others_wait_longer() -> None:
    """From one page to the whole region."""
    one, some, all_ = lab().batches
    assert one.ipis > some.ipis
    assert one.ipis > 2 * all_.ipis
    assert one.pages_per_second < some.pages_per_second < all_.pages_per_second
    assert one.percentiles[-1] < some.percentiles[-1] < all_.percentiles[-1]
    assert min(some.waits, all_.waits) > 0


@pytest.mark.parametrize("variant", ["batch_2mb", "batch_v63"])
def test_a_batch_of_one_has_a_flush_for_each_page_and_a_whole_one_has_one(variant: str) -> None:
    """With nobody else in the way: 16 pages, batches of 1, 4, 5 and 16."""
    for size, flushes in {1: 16, 4: 4, 5: 4, 16: 1}.items():
        found = run("move_pages", in_batches_of(size, variant), pages=16, spinners=2)
        assert (found.counts["tlb_flushes"], found.counts["ipis_received"]) == (flushes, 2 * flushes)
        assert found.pages_migrated == 16


def test_no_batch_is_empty() -> None:
    """Nor negative."""
    with pytest.raises(BadParameter, match="1 or more"):
        in_batches_of(0)


def test_percentiles_are_values_that_occurred() -> None:
    """Of none there is none."""
    assert [percentile([30, 10, 20, 40], it) for it in (50, 99, 100)] == [20, 40, 40]
    assert percentile([], 50) == 0


@pytest.mark.slow
def test_what_it_says_holds_with_each_cost_at_a_third_and_three_times() -> None:
    """What stops the mutex, and what a batch is good for and costs."""
    from sim.analysis.sweep import each_cost

    rungs = [it for it in RUNGS if it.variant in ("mutex_v37", "rwsem_v38")]
    for costs in each_cost():
        short = {**costs, "lru_add_drain_all": costs.get("lru_add_drain_all", 1) / 50}  # a call of two pages, not 512
        found = staircase(rungs, (FEW, MANY), pages=2, costs=short, executor=Here())
        mutex, rwsem = (found.series()[it.name] for it in rungs)
        assert mutex[MANY] < 1.5 * mutex[FEW], costs
        assert rwsem[MANY] > 2 * mutex[MANY], costs
        one, all_ = batches((1, 16), pages=16, writers=2, rounds=24, costs=short, executor=Here()).batches
        assert one.ipis > all_.ipis, costs
        assert one.percentiles[-1] < all_.percentiles[-1], costs


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("staircase", ["--threads", "1", "2", "--pages", "2", "--rungs", "mutex_v37"]),
        ("scaling", ["numa02", "--threads", "1", "2", "3", "--pages", "2", "--nodes", "2"]),
        ("batches", ["--sizes", "1", "4", "--pages", "8", "--writers", "1"]),
        ("lockstat", ["numa02", "--variant", "mutex_v37", "--threads=2", "--pages=3", "--nodes=2"]),
        ("convergence", ["numa02", "--variant", "rwsem_v38", "--threads=2", "--pages=4", "--rounds=6", "--scan=4"]),
    ],
)
def test_a_chart_says_what_the_command_says(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str, words: list[str]
) -> None:
    """The picture's text twin is the command's text, and the picture is one."""
    if kind not in ("convergence", "lockstat"):
        words = [*words, "--keep", str(tmp_path / "kept.jsonl")]  # so that the second time nothing is run
    assert main([kind, *words]) == 0
    said = capsys.readouterr().out
    target = tmp_path / "chart.svg"
    assert vizlib(["chart", kind, *words, "-o", str(target)]) == 0
    assert capsys.readouterr().out == f"{said}{target} is written\n"
    assert target.read_text("utf-8").startswith("<?xml")


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        ("staircase --rungs mutex", "no rung is called 'mutex'; nearest: mutex_v37"),
        ("staircase --threads 0", "threads=0 is not allowed in movers"),
        ("staircase --pages 513", "pages=513 is not allowed in movers"),
        ("staircase --policy luck", "no policy is called 'luck'"),
        ("scaling numa02 --threads 2 129", "threads=129 is not allowed in numa02"),
        ("scaling stack_grows", "stack_grows has no threads to add: numa02 and movers have"),
        ("batches --sizes 0", "--sizes 0 is not allowed: 1 page or more"),
        ("batches --variant batch", "no variant is called 'batch'"),
    ],
)
def test_bad_input_is_one_line(capsys: pytest.CaptureFixture[str], argv: str, says: str) -> None:
    """And exit code 2."""
    assert main(argv.split()) == 2
    said = capsys.readouterr().err
    assert says in said
    assert said.count("\n") == 1
