"""Schedules and run names: what is written can be read, and says the same."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim import schedule
from sim.errors import BadParameter, BadSchedule, UnknownName
from sim.schedule import Turn
from sim.setup import letter
from sim.worlds import WORLDS, World

TURNS = st.lists(st.builds(Turn, st.integers(0, 60), st.none() | st.integers(0, 12)), max_size=40)
STEADY = settings(derandomize=True, deadline=None)


@STEADY
@given(TURNS)
def test_a_schedule_that_was_written_reads_the_same(turns: list[Turn]) -> None:
    """Every list of turns survives formatting and parsing, with its decisions."""
    assert schedule.parse_schedule(schedule.format_schedule(turns)) == turns


@STEADY
@given(TURNS)
def test_a_schedule_has_one_shortest_spelling(turns: list[Turn]) -> None:
    """Writing what was read from it gives the same text, so two runs are equal if their names are."""
    text = schedule.format_schedule(turns)
    assert schedule.format_schedule(schedule.parse_schedule(text)) == text
    assert len(text) <= sum(len(letter(it.task)) + len(f".{it.choice}") for it in turns)


def test_every_task_has_a_letter_of_its_own() -> None:
    """The letters of 200 tasks are all different, and each leads back to its number."""
    letters = [letter(number) for number in range(200)]
    assert len(set(letters)) == 200
    assert [schedule.number(it) for it in letters] == list(range(200))


def test_a_count_and_a_choice_are_read_as_documented() -> None:
    """``a3b2.1c``: a three times, b twice with a decision in its second step, c once."""
    assert schedule.parse_schedule("a3b2.1c") == [(0, None)] * 3 + [(1, None), (1, 1), (2, None)]


@pytest.mark.parametrize("world", WORLDS.values(), ids=WORLDS)
@settings(STEADY, max_examples=20)  # of each world
@given(data=st.data(), turns=TURNS)
def test_a_run_name_that_was_written_reads_the_same(world: World, data: st.DataObject, turns: list[Turn]) -> None:
    """World, parameters, variant and turns all come back."""
    params = {name: data.draw(st.integers(it.low, it.high), label=name) for name, it in world.params.items()}
    run = schedule.parse_run_name(schedule.run_name(world, params, "rwsem_v38", turns))
    assert run == (world, params, "rwsem_v38", turns)


def test_a_run_name_leaves_out_what_is_at_its_default() -> None:
    """Names stay short: only parameters that differ from the default are told."""
    world = WORLDS["move_pages"]
    assert schedule.run_name(world, world.values({}), "mutex_v37", []) == "move_pages mutex_v37"
    told = schedule.run_name(world, world.values({"pages": 9}), "mutex_v37", [Turn(0)])
    assert told == "move_pages?pages=9 mutex_v37 a"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a3!b", r"character 3, '!b'"),
        ("a0", r"'a0' at character 1: a count starts at 1"),
        ("3a", r"character 1, '3a'"),
        ("a.", r"character 2, '\.'"),
        ("(5", r"character 1, '\(5'"),
    ],
)
def test_a_schedule_that_cannot_be_read_says_where(text: str, says: str) -> None:
    """The place is named by its character."""
    with pytest.raises(BadSchedule, match=says):
        schedule.parse_schedule(text)


@pytest.mark.parametrize(
    ("name", "error", "says"),
    [
        ("one_page", BadSchedule, "is no run name: WORLD"),
        ("one_page mutex_v37 a b", BadSchedule, "is no run name: WORLD"),
        ("one_pag mutex_v37 a", UnknownName, "nearest: one_page"),
        ("one_page?passe=2 mutex_v37 a", UnknownName, "nearest: passes"),
        ("one_page?passes=two mutex_v37 a", BadParameter, "'passes=two' is no parameter: write name=number"),
        ("one_page?passes mutex_v37 a", BadParameter, "write name=number"),
        ("one_page?passes=0 mutex_v37 a", BadParameter, "passes=0 is not allowed in one_page: 1 to 10"),
    ],
)
def test_a_run_name_that_cannot_be_read_says_why(name: str, error: type[Exception], says: str) -> None:
    """Each part has its own complaint, with what would be right."""
    with pytest.raises(error, match=says):
        schedule.parse_run_name(name)
