"""A small world that a player can run by itself."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim.engines.narrowing import narrowed
from sim.errors import BadParameter
from vizlib import playable as module
from vizlib.film import film, to_text
from vizlib.playable import explored
from vizlib.showcase import showcase

Rows = st.dictionaries(st.tuples(*[st.integers(0, 2)] * 4), st.integers(0, 1), min_size=1)


def test_a_world_is_a_few_hundred_entries() -> None:
    """Ten thousand states, and a table for each step and each mark that stays small."""
    hands = film(showcase("stack_grows", "rfc_remap_unlocked"), hands=True)["hands"]
    assert hands["states"] > 9000
    assert len(hands["moves"]) < 400
    assert len(json.dumps({**hands, "values": []})) < 100_000
    assert sum(len(it["is"]) for it in hands["shown"]) < hands["states"]


def test_a_world_that_is_too_large_is_refused_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    """It names the bound and what to do."""
    monkeypatch.setattr(module, "MOST_STATES", 100)
    with pytest.raises(BadParameter, match=r"more than 100 states .* take smaller parameters"):
        module.Explored("move_pages", "mutex_v37", (("pages", 2), ("spinners", 1), ("pinned", 0), ("passes", 2)))


def test_the_same_world_is_the_same_bytes() -> None:
    """Explored twice, written twice."""
    trace = showcase("move_pages")
    first = to_text(film(trace, hands=True))
    explored.cache_clear()
    assert to_text(film(trace, hands=True)) == first


def test_a_film_without_hands_does_not_carry_the_world() -> None:
    """It would be twice as large."""
    assert "hands" not in film(showcase("move_pages"))


@given(Rows)
def test_a_narrowed_function_says_the_same(rows: dict[tuple[int, ...], int]) -> None:
    """Whatever is left out, what is left decides as before."""
    rest, table = narrowed([10, 11, 12, 13], rows)
    for row, value in rows.items():
        assert table[tuple(row[slot - 10] for slot in rest)] == value


def test_a_slot_that_does_not_matter_is_left_out() -> None:
    """Only the second of three decides."""
    rows = {(a, b, c): b for a in (0, 1) for b in (0, 1) for c in (0, 1)}
    assert narrowed([5, 6, 7], rows) == ([6], {(0,): 0, (1,): 1})
