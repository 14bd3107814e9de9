"""The rules of batching: what each removed rule breaks, and nothing else."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sim import invariants, worlds
from sim.engines.checker import check
from sim.worlds import World

#: For each rule the world that stands for it.
STANDS_FOR = {
    "B1": "write_during_copy",
    "B2": "frame_reused",
    "B3": "write_during_pageout",
    "B4": "read_after_remap",
    "B5": "munmap_pending_flush",
    "B6": "nested_reclaim",
    "B7": "batch_deadlock",
}
#: What else a removed rule breaks, and why it must: whoever copies before the flush loses the writes of any writer, and
#: counts references before the last is taken; an old frame is freed after the remap, so what is flushed after the one
#: is flushed after the other.
ALSO = {
    "B1": {"read_after_remap": "lost write", "pinned_in_time": "lost write"},
    "B2": {"read_after_remap": "stale read"},
}
KINDS = {
    "B1": "lost write",
    "B2": "foreign frame",
    "B3": "lost write",
    "B4": "stale read",
    "B5": "stale TLB entry",
    "B6": "stale TLB entry",
    "B7": "deadlock",
}


#: What 6.3 puts off: a migration's flushes, and not reclaim's.
IN_6_3 = ("B1", "B2", "B4", "B5", "B7")


def without(rule: str, world: str) -> World:
    """*world* on a kernel without *rule*."""
    own, broken, it = (worlds.find(name) for name in (STANDS_FOR[rule], f"{STANDS_FOR[rule]}~{rule}", world))
    patch = {name: function for name, function in broken.patch.items() if own.patch.get(name) is not function}
    return replace(it, name=f"{world}~{rule}", patch={**it.patch, **patch})


@pytest.mark.parametrize("rule", STANDS_FOR)
def test_a_removed_rule_breaks_the_world_that_stands_for_it(rule: str) -> None:
    """And of the others those only in which it must: the rules are seven, not one."""
    broken = {}
    for world in (*STANDS_FOR.values(), "pinned_in_time"):
        found = check(without(rule, world), "batch_2mb")
        assert found.complete or found.violations
        if found.violations:
            broken[world] = found.violations[0].kind
    assert broken == {STANDS_FOR[rule]: KINDS[rule], **ALSO.get(rule, {})}


@pytest.mark.parametrize("variant", ["batch_v63", "v612"])
@pytest.mark.parametrize("rule", IN_6_3)
def test_the_batches_of_6_3_need_the_same_rules(rule: str, variant: str) -> None:
    """But for one thing: who pins a page looks at the PTE again, and is not missed by a count before the flush."""
    broken = {}
    for world in (*STANDS_FOR.values(), "pinned_in_time"):
        found = check(without(rule, world), variant)
        assert found.complete or found.violations
        if found.violations:
            broken[world] = found.violations[0].kind
    also = {world: kind for world, kind in ALSO.get(rule, {}).items() if world != "pinned_in_time"}
    assert broken == {STANDS_FOR[rule]: KINDS[rule], **also}


@pytest.mark.parametrize(
    ("rule", "variant"), [*((it, "batch_2mb") for it in STANDS_FOR), *((it, "v612") for it in IN_6_3)]
)
def test_a_broken_rule_is_named(rule: str, variant: str) -> None:
    """The verdict says which of the seven it was, and where the kernel has it."""
    (found,) = check(f"{STANDS_FOR[rule]}~{rule}", variant).violations
    assert f": {rule} (" in found.rule
    assert found.rule in {
        *invariants.RULES.values(),
        invariants.WRITTEN_OUT_ONCE_FLUSHED,
        invariants.FLUSHED_BEFORE_FORGOTTEN,
        invariants.ONE_PAGE_LOCK_AT_A_TIME,
    }


def test_a_kernel_that_puts_nothing_off_has_nothing_to_lose() -> None:
    """The tilde forms change the batches; under 3.7 the search is the same, state for state."""
    for rule, world in STANDS_FOR.items():
        assert check(f"{world}~{rule}", "mutex_v37").states == check(world, "mutex_v37").states


def test_what_was_first_merged_for_6_3_waits_for_writeback_with_other_pages_locked() -> None:
    """And what replaced it does not: the same world, the deadlock is gone."""
    (found,) = check("batch_deadlock", "batch_v63_rc").violations
    assert found.kind == "deadlock"
    assert "the writeback of f1 is over" in found.sentence
    assert check("batch_deadlock", "batch_v63").complete
