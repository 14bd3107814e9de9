"""What a reader writes in a cell: whole kernel functions, worlds, and mistakes, which are named at their line."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from sim import variants, worlds
from sim.context import Context
from sim.engines.checker import check
from sim.engines.stepper import Stepper
from sim.errors import NotAnOperation
from sim.kernel.migrate import migrate_page_copy, migrate_page_move_mapping, sys_move_pages
from sim.kernel.rmap import page_unlock_anon_vma
from sim.ops import Kernel, Until
from sim.setup import Builder
from sim.structs import AnonVma, Page, SwapSlot
from sim.user import user_read, user_write
from sim.worlds import Param, world

MUTEX = variants.find("mutex_v37")
HERE = "tests/test_reader_code.py"


def line(function: Callable[..., Any], text: str) -> int:
    """The line of this file on which *text* stands in *function*."""
    source, first = inspect.getsourcelines(function)
    (at,) = [number for number, it in enumerate(source, first) if text in it]
    return at


# --- whole functions -------------------------------------------------------------------------------------


def careful(k: Context, mapping: SwapSlot | None, newpage: Page, page: Page) -> Kernel:
    """migrate_page, written by a reader with the same steps."""
    rc = yield from migrate_page_move_mapping(k, mapping, newpage, page)
    if rc == 0:
        yield from migrate_page_copy(k, mapping, newpage, page)
    return rc


def forgetful(k: Context, mapping: SwapSlot | None, newpage: Page, page: Page) -> Kernel:
    """The same without the copy."""
    rc = yield from migrate_page_move_mapping(k, mapping, newpage, page)
    return rc


def test_a_whole_function_is_checked_like_the_kernels_own() -> None:
    """The same steps give the same states; without the copy the user's write is lost."""
    assert check("one_page", MUTEX.changed("careful", migrate_page=careful)).states == check("one_page", MUTEX).states
    assert [it.kind for it in check("one_page", MUTEX.changed("bad", migrate_page=forgetful)).violations] == [
        "lost write"
    ]


# --- mistakes --------------------------------------------------------------------------------------------


def unlocks_twice(k: Context, anon_vma: AnonVma, flags: int = 0) -> Kernel:
    yield from page_unlock_anon_vma(k, anon_vma, flags)
    yield from page_unlock_anon_vma(k, anon_vma, flags)  # once too often


def releases(k: Context, anon_vma: AnonVma) -> Kernel:
    root = yield anon_vma.root
    yield from k.anon_vma_unlock_read(root)  # not held


def test_a_release_without_hold_names_the_line_of_the_call() -> None:
    """Not a line of the lock's own code."""
    found = check("one_page", MUTEX.changed("mine", rmap_walk_anon_lock=releases)).violations[0]
    assert found.kind == "release without hold"
    assert found.where == f"sim/variants/mutex_v37.py:{line(variants_unlock(), 'mutex_unlock')} in anon_vma_unlock"
    again = Stepper("one_page", MUTEX.changed("mine", page_unlock_anon_vma=unlocks_twice), passes=2)
    stack = again.finish().trace.stacks[-1]
    assert [it.line for it in stack if it.file == HERE] == [line(unlocks_twice, "once too often")]


def variants_unlock() -> Callable[..., Any]:
    return MUTEX.seams["anon_vma_unlock_read"]


def yields_nothing(k: Context, anon_vma: AnonVma) -> Kernel:
    yield None  # type: ignore[misc]  # the mistake


def forgets_from(k: Context, anon_vma: AnonVma) -> Kernel:
    yield yields_nothing(k, anon_vma)  # type: ignore[misc]  # the mistake


def has_no_yield(k: Context, anon_vma: AnonVma) -> None:
    return


def never_yields(k: Context, anon_vma: AnonVma) -> Kernel:
    while True:
        pass
    yield from ()


def waits_for_ever(k: Context, anon_vma: AnonVma) -> Kernel:
    yield Until(anon_vma.refcount, -1)


@pytest.mark.parametrize(
    ("mistake", "says"),
    [
        (yields_nothing, "yields_nothing yields None, which is no operation of sim.ops"),
        (forgets_from, "forgets_from yields a call of yields_nothing, of which nothing runs: write yield from"),
        (has_no_yield, "has_no_yield has no yield, so it is no kernel coroutine"),
        (never_yields, "never_yields runs 200000 lines without a yield; it never gives the CPU away"),
    ],
)
def test_code_that_is_no_coroutine_is_reported_with_its_line(mistake: Callable[..., Any], says: str) -> None:
    """A yield of nothing, no yield at all, a loop that never yields: one sentence each, by checker and stepper."""
    mine = MUTEX.changed("mine", rmap_walk_anon_lock=mistake)
    source, first = inspect.getsourcelines(mistake)
    for engine in (lambda: check("one_page", mine), lambda: Stepper("one_page", mine).finish()):
        with pytest.raises(NotAnOperation, match=says) as caught:
            engine()
        file, at, _ = str(caught.value).split(":", 2)
        assert file == HERE
        assert first <= int(at) < first + len(source)


def test_code_that_never_ends_is_a_verdict() -> None:
    """Who waits for what never comes true is stuck: the checker says who, and at what."""
    found = check("one_page", MUTEX.changed("mine", rmap_walk_anon_lock=waits_for_ever)).violations[0]
    assert found.kind == "deadlock"
    assert "migrator: it waits until A_heap.refcount is -1" in found.sentence


# --- a world ---------------------------------------------------------------------------------------------


def mover(k: Context, *, vpn: int) -> Kernel:
    yield from sys_move_pages(k, k.mm, (vpn,), 1, 2)


def careless(k: Context) -> Kernel:
    while k:
        pass
    yield from ()


def test_a_world_from_a_cell_is_a_world(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is found by its name, its run names are replayed, and its tasks' code is watched like a variant's."""
    monkeypatch.setattr(worlds, "WORLDS", dict(worlds.WORLDS))

    @world(reads=Param(1, 0, 3, "how often it is read"))
    def mine(reads: int) -> Builder:
        """A page moves, and its owner reads it."""
        b = Builder()
        mm = b.mm()
        b.page(b.vma(mm, "heap", 0, 4), 0, node=0, written=1)
        b.task("mover", b.cpu(0, 0), mm, partial(mover, vpn=0), "moves page 0")
        b.task("reader", b.cpu(1, 1), mm, partial(user_read if reads else user_write, vpn=0), "reads page 0")
        return b

    assert check("mine", MUTEX).verdict == "safe"
    found = check(mine, MUTEX.changed("bad", migrate_page=forgetful)).violations[0]
    assert found.run_name.startswith("mine bad ")

    @world()
    def stuck() -> Builder:
        """A thread that never gives its CPU away."""
        b = Builder()
        b.task("careless", b.cpu(0, 0), b.mm(), careless, "loops")
        return b

    with pytest.raises(NotAnOperation, match=f"{HERE}:{line(careless, 'while k')}|{HERE}:{line(careless, 'pass')}"):
        check(stuck, MUTEX)
