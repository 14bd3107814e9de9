"""Quick answers: what was extrapolated equals the run, what cannot be extrapolated is run, and nothing is mixed up."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

import sim
from sim.engines import quick as module
from sim.engines.costs import DEFAULT
from sim.engines.quick import curve, quick
from sim.engines.timed import POLICIES, run
from sim.engines.timed_run import TimedRun
from sim.errors import BadParameter
from sim.ops import Kernel


@pytest.fixture(autouse=True)
def _nothing_remembered() -> Iterator[None]:
    module.forget()
    yield
    module.forget()


def told(it: TimedRun) -> object:
    """Everything that a result says of times and counts."""
    sites = {site: tally.count for site, tally in it.sites.items()}
    return it.pages_migrated, it.elapsed_ns, it.counts, sites


@pytest.mark.parametrize("policy", sorted(POLICIES.keys() - {"spin"}))  # nobody writes a rwsem in numa02
@pytest.mark.parametrize("variant", ["mutex_v37", "rfc_remap_unlocked", "rwsem_v38"])
@pytest.mark.parametrize("threads", [1, 3, 8])
def test_an_extrapolated_result_is_the_runs_to_the_nanosecond(policy: str, variant: str, threads: int) -> None:
    """Whatever was extrapolated, and whatever was not: it is what the whole run says."""
    params = {"threads": threads, "pages": 48, "nodes": 2}
    found = quick("numa02", variant, policy=policy, params=params)
    assert told(found) == told(run("numa02", variant, policy=policy, params=params))
    assert found.params["pages"] == 48


def test_under_hand_off_it_is_extrapolated_and_says_so() -> None:
    """The mutex under hand-off settles at once; such a result has no schedule."""
    found = quick("numa02", threads=4, pages=512)
    assert (found.extrapolated, found.turns, found.schedule) == (True, [], "")
    assert found.pages_migrated == 4 * 512
    assert found.counts["anon_vma_locks"] == 4 * 1024
    assert not run("numa02", threads=2, pages=4).extrapolated


def test_shorter_runs_that_the_world_refuses_are_left_out() -> None:
    """A huge page has at least two small ones: nobody asked for the run with one."""
    ask = {"threads": 2, "nodes": 2, "ranges": 2, "pages": 16, "huge": 1}
    assert told(quick("numa02", "rwsem_v38", params=ask)) == told(run("numa02", "rwsem_v38", params=ask))
    with pytest.raises(BadParameter, match="pages=1 is not allowed"):
        quick("numa02", "rwsem_v38", params={**ask, "pages": 1})


def test_what_does_not_settle_is_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where three short runs are on no line, the answer comes from the run itself and has a schedule."""
    found = quick("numa02", policy="steal", threads=4, pages=24, nodes=2)
    assert not found.extrapolated
    assert found.schedule
    monkeypatch.setattr(module, "_prolonged", lambda *_: None)
    assert not quick("numa02", threads=2, pages=40, nodes=2).extrapolated


def test_with_a_seed_nothing_is_extrapolated() -> None:
    """A seed varies what user code takes, so no line is exact."""
    assert not quick("numa02", threads=2, pages=40, nodes=2, seed=3).extrapolated


def test_a_line_is_prolonged_only_if_it_is_one() -> None:
    """Numbers that bend, or that would be broken, are refused."""
    from fractions import Fraction

    straight = [{"a": 1}, {"a": 3}, {"a": 5}]
    assert module._prolonged(straight, Fraction(10)) == {"a": 25}
    assert module._prolonged([*straight[:2], {"a": 6}], Fraction(10)) is None
    assert module._prolonged(straight, Fraction(1, 3)) is None


def test_a_result_is_made_once_for_each_question(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same question is answered from memory; any other policy, cost, seed or parameter is another question."""
    made = []
    monkeypatch.setattr(module.timed, "run", lambda *args, **options: made.append(options) or run(*args, **options))
    ask = {"threads": 2, "pages": 2, "nodes": 2}
    first = quick("numa02", **ask)
    assert quick("numa02", **ask) is first
    assert len(made) == 1
    quick("numa02", **ask, policy="steal")
    quick("numa02", **ask, costs=DEFAULT.with_("copy_page", 1000))
    quick("numa02", **ask, seed=1)
    quick("numa02", "rwsem_v38", **ask)
    assert len(made) == 5


def test_variants_of_one_name_are_not_taken_for_each_other() -> None:
    """A reader's variant is remembered as itself, since its name may come again with other functions."""
    base = sim.variant("mutex_v37")

    def none(_: object, __: object) -> Kernel:
        yield from ()

    same = base.changed("mine")
    other = base.changed("mine", rmap_walk_anon_lock=none, rmap_walk_anon_unlock=none)
    assert quick("numa02", same, threads=2, pages=2).counts["anon_vma_locks"] == 8
    assert quick("numa02", other, threads=2, pages=2).counts["anon_vma_locks"] == 4


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest result is forgotten first."""
    monkeypatch.setattr(module, "REMEMBERED", 3)
    for rounds in range(1, 6):
        quick("one_page", rounds=rounds)
    assert len(module._results) == 3


def test_a_curve_is_as_many_quick_answers() -> None:
    """One for each number of threads, in the order asked for."""
    found = curve("numa02", "mutex_v37", [1, 4], pages=64)
    assert [(threads, it.params["threads"], it.extrapolated) for threads, it in found] == [(1, 1, True), (4, 4, True)]


@pytest.mark.parametrize("variant", ["mutex_v37", "rwsem_v38"])
def test_a_region_of_many_ranges_is_prolonged_along_both(variant: str) -> None:
    """Whatever was extrapolated along ranges, along pages, or along both: it is what the whole run says."""
    params = {"threads": 3, "pages": 6, "ranges": 7, "nodes": 2}
    found = quick("numa02", variant, params=params)
    assert told(found) == told(run("numa02", variant, params=params))
    assert found.params["ranges"] == 7


def test_1_gib_is_answered_without_being_built() -> None:
    """Four threads with 256 MiB each: exact, and from runs with at most six pages a thread."""
    found = quick("numa02", threads=4, pages=512, ranges=128)
    assert (found.extrapolated, found.within, found.pages_migrated) == (True, 0.0, 1 << 18)


def test_nothing_is_prolonged_past_what_short_runs_do_not_have() -> None:
    """A call takes pages in chunks of 169: the line ends there, for what comes with the second is in no short run."""
    assert told(quick("move_pages", pages=169)) == told(run("move_pages", pages=169))
    assert quick("move_pages", pages=169).extrapolated
    assert not quick("move_pages", pages=170).extrapolated


def test_what_wanders_a_little_is_prolonged_loosely_and_says_how_loosely() -> None:
    """Nine threads that share a lock are on no line, but near one: the run is as near to the answer as was said."""
    params = {"threads": 9, "pages": 84}
    found, whole = quick("numa02", "rwsem_v38", params=params), run("numa02", "rwsem_v38", params=params)
    assert found.extrapolated
    assert 0 < found.within <= module.LOOSE
    assert abs(found.elapsed_ns / whole.elapsed_ns - 1) < found.within
    assert found.counts["ipis_received"] == whole.counts["ipis_received"]


def test_a_line_that_bends_too_much_is_no_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts that are further from the whole than is allowed."""
    runs = {pages: run("numa02", "rwsem_v38", threads=9, pages=pages) for pages in (4, 6, 8)}
    found = module._loosely(runs, 100)
    assert found is not None
    monkeypatch.setattr(module, "LOOSE", found[1] / 2)
    assert module._loosely(runs, 100) is None


def test_what_is_near_a_line_along_pages_needs_no_long_runs_along_ranges() -> None:
    """Rounded numbers lie on no other line exactly: six ranges in all are enough, and both errors are told."""
    one, asked = run("numa02", threads=1, pages=1), set()

    def near_a_line(ranges: int) -> TimedRun:
        asked.add(ranges)
        return replace(one, elapsed_ns=1000 * ranges + ranges % 2, within=0.01)

    found = module._along("ranges", 1, {"ranges": 16}, near_a_line)
    assert found is not None
    assert asked == {1, 2, 3}
    assert 0.01 < found.within < 0.02
    assert found.elapsed_ns == 16_001
