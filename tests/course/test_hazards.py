"""The instructor's page on hazards: its table is what the variants state, and no world of a hazard is left out."""

from __future__ import annotations

import re

from course.hazards import COLUMNS, HAZARDS, PAGE, page
from sim import variants
from sim.worlds import WORLDS

#: Worlds that are about no hazard: how a page moves, at work and under the clock; and the one of the claims.
OTHERS = {"one_page", "two_migrators", "numa_only", "numa02", "move_pages", "caller_and_disturber"}


def test_the_table_is_the_present_one() -> None:
    """Run ``python -m course.refresh`` when this fails: a verdict or a world has changed."""
    text = PAGE.read_text("utf-8")
    assert page(text) == text
    assert f"| {HAZARDS[0].name} | `{HAZARDS[0].worlds[0]}` | safe | safe | safe | safe | unsafe |" in text


def test_columns_are_variants_that_exist() -> None:
    """Those of the story so far, each under a heading of its own."""
    assert set(COLUMNS) <= set(variants.names())
    assert len(set(COLUMNS.values())) == len(COLUMNS)


def test_every_world_in_which_something_goes_wrong_is_in_the_table() -> None:
    """A world that is unsafe under the unlocked remap walk, or under 3.7, belongs to a hazard."""
    listed = {world for hazard in HAZARDS for world in hazard.worlds}
    stated = variants.find("rfc_remap_unlocked").verdicts
    for name, it in WORLDS.items():
        if stated.get(name) == "unsafe":
            assert (it.base or name) in listed | OTHERS, f"{name} is in no hazard of course/hazards.py"


def test_each_hazard_of_the_table_is_explained_or_speaks_for_itself() -> None:
    """The H numbers have a paragraph each; every world that the prose names exists."""
    text = PAGE.read_text("utf-8")
    for hazard in HAZARDS:
        if hazard.name.startswith("H"):
            assert re.search(rf"\*\*[^*]*\b{hazard.name}\b[^*]*\*\*", text), hazard.name
    for name in re.findall(r"`([a-z]+_[a-z_]+(?:~[a-z_]+)?)`", text):
        assert name in WORLDS or name in variants.names() or name in KERNEL, name


KERNEL = {"vma_adjust", "expand_stack", "move_ptes", "ptep_clear_flush", "anon_vma_fork", "expand_downwards"}
