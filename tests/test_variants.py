"""Variants: what each claims of each world is what the checker finds, and a file of nonsense is refused."""

from __future__ import annotations

import importlib
import types
from collections.abc import Mapping

import pytest

from sim import variants
from sim.analysis.matrix import LIMIT, Cell, matrix
from sim.context import SEAMS, Context
from sim.engines.checker import check
from sim.engines.stepper import replay
from sim.errors import BadVariant
from sim.ops import Kernel
from sim.structs import AnonVma
from sim.worlds import WORLDS

CLAIMS = [(world, name) for name in variants.names() for world in variants.find(name).verdicts]


@pytest.fixture(scope="module")
def cells() -> Mapping[tuple[str, str], Cell]:
    """Every world under every variant, checked once, in processes of their own."""
    return {(it.world, it.variant): it for it in matrix().cells}


@pytest.mark.parametrize(("world", "variant"), CLAIMS, ids=["-".join(it) for it in CLAIMS])
def test_the_checker_confirms_what_a_variant_claims(
    cells: Mapping[tuple[str, str], Cell], world: str, variant: str
) -> None:
    """VERDICTS is checked: ``safe`` by a complete search, ``unsafe`` by a run that every engine takes."""
    cell = cells[world, variant]
    assert (cell.verdict, cell.bound if cell.verdict == "undecided" else "") == (
        variants.find(variant).verdicts[world],
        "",
    )
    assert cell.complete or cell.verdict == "unsafe"
    assert cell.states <= LIMIT
    if cell.verdict == "unsafe":
        again = replay(cell.run_name)
        assert again.violation is not None
        assert (again.violation.kind, len(again.events)) == (cell.kind, cell.steps)


@pytest.mark.parametrize("name", variants.names())
def test_a_variant_claims_something_of_every_world(name: str) -> None:
    """No world is left out, and each claim is one of the three words."""
    verdicts = variants.find(name).verdicts
    assert set(verdicts) == set(WORLDS)
    assert set(verdicts.values()) <= set(variants.VERDICTS)


@pytest.mark.parametrize("name", variants.names())
def test_a_variant_states_only_what_its_base_does_not(name: str) -> None:
    """Of the other worlds it claims what its base does."""
    module = importlib.import_module(f"sim.variants.{name}")
    if base := getattr(module, "BASE", ""):
        stated = getattr(module, "VERDICTS", {})
        assert [it for it in stated if variants.find(base).verdicts[it] == stated[it]] == []


@pytest.mark.parametrize("name", variants.names())
def test_a_variant_says_what_every_seam_is(name: str) -> None:
    """Each has a title of one line and a function for each seam."""
    variant = variants.find(name)
    assert set(variant.seams) == set(SEAMS)
    assert variant.title
    assert "\n" not in variant.title


def test_the_counterexample_of_the_rfc_ends_in_a_stale_migration_entry() -> None:
    """Removing the lock of the remap walk is unsafe where a stack grows; where nobody edits VMAs it is not."""
    verdict = check("stack_grows", "rfc_remap_unlocked")
    assert [it.kind for it in verdict.violations] == ["stale migration entry"]
    assert {check(world, "rfc_remap_unlocked").verdict for world in ("one_page", "numa_only")} == {"safe"}


def unlocked(k: Context, anon_vma: AnonVma) -> Kernel:
    """No lock."""
    yield from ()


def test_a_variant_from_a_cell_is_checked_like_any_other() -> None:
    """The RFC, written by a reader as two functions, gives the verdict and the counterexample of the RFC."""
    mine = variants.find("mutex_v37").changed("mine", rmap_walk_anon_lock=unlocked, rmap_walk_anon_unlock=unlocked)
    ours = check("stack_grows", "rfc_remap_unlocked")
    verdict = check("stack_grows", mine)
    assert (verdict.verdict, verdict.states, verdict.variant) == (ours.verdict, ours.states, "mine")
    assert verdict.violations[0].schedule == ours.violations[0].schedule
    trace = replay(verdict.violations[0].run_name, {"mine": mine})
    assert trace.violation is not None
    assert trace.violation.kind == "stale migration entry"


def test_a_changed_variant_leaves_the_first_as_it_was() -> None:
    """``changed`` makes a second variant, watched and without claims."""
    first = variants.find("mutex_v37")
    before = dict(first.seams)
    mine = first.changed("mine", "my own", rmap_walk_anon_lock=unlocked)
    assert mine.seams["rmap_walk_anon_lock"] is unlocked
    assert dict(first.seams) == before
    assert (mine.guarded, dict(mine.verdicts), mine.base) == (True, {}, "mutex_v37")


def module(doc: str | None, **names: object) -> types.ModuleType:
    """A module ``sim.variants.mine`` with this docstring and these names in it."""
    it = types.ModuleType("sim.variants.mine", doc)
    for name, value in names.items():
        if isinstance(value, types.FunctionType):
            value = types.FunctionType(value.__code__, value.__globals__, name)
            value.__module__ = it.__name__
        setattr(it, name, value)
    return it


@pytest.mark.parametrize(
    ("made", "says"),
    [
        (module(None, BASE="mutex_v37"), "variant mine has no title: give its file a docstring"),
        (module("Mine"), "does not say what .* is: define it, or name a BASE"),
        (module("Mine", BASE="mutex_v37", rmap_walk_anon_lok=unlocked), "nearest: rmap_walk_anon_lock"),
        (module("Mine", BASE="mutex_v73"), "nearest: mutex_v37"),
    ],
)
def test_a_variant_file_that_is_not_as_it_must_be_names_the_remedy(made: types.ModuleType, says: str) -> None:
    """No title, a missing seam, a misspelt seam, a misspelt base."""
    with pytest.raises(Exception, match=says) as caught:
        variants.load(made)
    assert type(caught.value).__name__ in {"BadVariant", "UnknownName"}


def test_a_seam_that_does_not_exist_names_the_nearest() -> None:
    """``changed`` with a misspelt seam, and with a name that is no word."""
    with pytest.raises(BadVariant, match="nearest: rmap_walk_anon_lock"):
        variants.find("mutex_v37").changed("mine", rmap_walk_anon_lok=unlocked)
    with pytest.raises(BadVariant, match="'my own' cannot name a variant"):
        variants.find("mutex_v37").changed("my own")
