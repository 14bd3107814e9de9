"""The checker against plain enumeration of small programs, which shares no code with it (tests/engines/brute.py)."""

from __future__ import annotations

from collections import Counter
from functools import cache

import pytest

from sim.engines.checker import Search, check
from sim.engines.checker_tables import Tables
from tests.engines import brute
from tests.engines.toys import MUTEX

#: Seeds of the programs; those with more states than this are left out.
SEEDS, MOST = range(280), 1500


@cache
def plain(seed: int) -> brute.Plain | None:
    return brute.enumerate_all(brute.programs(seed), MOST)


@pytest.mark.parametrize("first", SEEDS[::20])
def test_the_checker_finds_what_enumeration_finds(first: int) -> None:
    """The same memories can be reached, and the same violations, in as few steps; so the verdict is the same."""
    for seed in range(first, first + 20):
        expected = plain(seed)
        if expected is None:
            continue
        search = Search(Tables(brute.world_of(brute.programs(seed)).setup(), MUTEX))
        search.run(all_kinds=True)
        assert search.complete
        assert {kind: len(turns) for kind, (_, turns) in search.found.items()} == expected.steps, seed
        assert _memories(search) == expected.memories, seed
        assert len(search.seen) <= expected.states, seed


def _memories(search: Search) -> set[object]:
    number = {info.task: i for i, info in enumerate(search.tables.tasks)}
    found = set()
    for state in search.seen:
        memory = search.tables.memory(state)
        a, b = (memory.get(it, it.default) for it in brute.FIELDS)
        found.add(((a, b), number.get(memory.get(brute.LOCK))))
    return found


def test_the_first_violation_of_a_check_is_a_shortest_of_all() -> None:
    for seed in SEEDS[::7]:
        expected = plain(seed)
        if expected is not None:
            verdict = check(brute.world_of(brute.programs(seed)), MUTEX)
            assert verdict.verdict == ("unsafe" if expected.steps else "safe")
            assert [it.steps for it in verdict.violations] == sorted(expected.steps.values())[:1]


def test_the_programs_are_many_and_of_every_kind() -> None:
    """More than 200 are compared; each kind of verdict is among them more than once, and some need decisions."""
    its = [it for it in map(plain, SEEDS) if it is not None]
    assert len(its) >= 200
    kinds = Counter(kind for it in its for kind in it.steps)
    assert min(kinds[it] for it in ("kernel bug", "deadlock", "livelock", "held at exit")) >= 3
    assert sum(not it.steps for it in its) >= 20
    assert max(it.states for it in its) > 500
