"""Who may share the anon_vma lock (lesson 7): Linux 3.8 built from a reader's table, checked and timed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Final, NamedTuple

from course.claiming import COLUMNS, meeting
from course.kit import Finding, Report, exercise
from course.looking import table
from course.misconceptions import named
from course.verdicts import Judgement, judge
from sim import Variant, run, variant
from sim.analysis.claims import WORLD
from sim.context import Context
from sim.kernel.huge_memory import collapse_huge_page
from sim.kernel.mmap import expand_downwards
from sim.kernel.mremap import move_ptes
from sim.kernel.rmap import unlink_anon_vmas
from sim.ops import Kernel, TryAcquire
from sim.structs import AnonVma
from sim.sync import down_write, up_write

HOW: Final = ("read", "write")


class User(NamedTuple):
    """A function that takes the anon_vma lock.

    Attributes:
        what: what it does meanwhile.
        walks: whether it walks the tree, and changes only PTEs, under their ptl.
        world, params: where it is seen if a function that does more takes the lock to read.
        tag: the misconception that this looks like.
    """

    what: str
    walks: bool
    world: str = ""
    params: Mapping[str, int] = {}
    tag: str = ""


#: By the function's name.
USERS: Final[Mapping[str, User]] = {
    "try_to_unmap_anon": User("walks, and replaces PTEs by migration entries", True),
    "rmap_walk_anon": User("walks, and replaces migration entries by PTEs", True),
    "unlink_anon_vmas": User(
        "takes the links of an exiting process out of the trees, and frees them",
        False,
        WORLD,
        meeting("compaction", "exit", True),
        "M10",
    ),
    "expand_downwards": User(
        "takes a stack's VMA out of its tree, changes its start, puts it back; mmap_sem to read",
        False,
        WORLD,
        meeting("compaction", "stack growth", True),
        "M20b",
    ),
    "move_ptes": User(
        "moves PTEs to another address of the process, under both ptls; the tree stays as it is",
        False,
        "mremap_during_migration",
        {},
        "M26",
    ),
    "collapse_huge_page": User(
        "hides a page table while it looks for small pages to merge; the tree stays as it is",
        False,
        "khugepaged_collapse",
        {},
        "M26",
    ),
}


def known() -> None:
    """Importing this module has made its exercise known."""


def users() -> str:
    """The functions of exercise 07.3, each with what it does under the lock."""
    return "\n".join(f"{name:19} {it.what}" for name, it in USERS.items())


# --- Linux 3.8 with another division -------------------------------------------------------------------------------


@cache
def _reading(k: Context) -> Context:
    """The same task, for a function that takes the lock to read where others take it to write."""
    other = object.__new__(Context)
    other.__dict__.update(k.__dict__)
    other.anon_vma_lock_write, other.anon_vma_unlock_write = k.anon_vma_lock_read, k.anon_vma_unlock_read
    return other


def unlink_as_reader(k: Context, vma: Any) -> Kernel:
    """``unlink_anon_vmas``, but the lock is shared.  The seam is mm/rmap.c:322 (v3.7)."""
    yield from unlink_anon_vmas(_reading(k), vma)


def expand_as_reader(k: Context, vma: Any, address: int) -> Kernel:
    """``expand_downwards``, but the lock is shared.  The seam is mm/mmap.c:1800 (v3.7)."""
    error = yield from expand_downwards(_reading(k), vma, address)
    return error


def move_as_reader(k: Context, *what: Any) -> Kernel:
    """``move_ptes``, but the lock is shared.  The seam is mm/mremap.c:71 (v3.7)."""
    yield from move_ptes(_reading(k), *what)


def collapse_as_reader(k: Context, *what: Any) -> Kernel:
    """``collapse_huge_page``, but the lock is shared.  The seam is mm/huge_memory.c:1921 (v3.7)."""
    done = yield from collapse_huge_page(_reading(k), *what)
    return done


def lock_alone(k: Context, anon_vma: AnonVma) -> Kernel:
    """For a walk that wants no other beside it."""
    root = yield anon_vma.root
    yield from down_write(root.rwsem)


def unlock_alone(k: Context, anon_vma: AnonVma) -> Kernel:
    """Give it back."""
    root = yield anon_vma.root
    yield from up_write(root.rwsem)


def trylock_alone(k: Context, root: AnonVma) -> Kernel:
    """The same of a root, without waiting."""
    ok = yield TryAcquire(root.rwsem)
    return ok


def unlock_root_alone(k: Context, root: AnonVma) -> Kernel:
    """Give it back."""
    yield from up_write(root.rwsem)


#: What a wrong entry of the table changes.
_OTHERWISE: Final[Mapping[str, Mapping[str, Callable[..., Kernel]]]] = {
    "try_to_unmap_anon": {
        "anon_vma_lock_read": lock_alone,
        "anon_vma_unlock_read": unlock_alone,
        "anon_vma_trylock_read": trylock_alone,
        "anon_vma_unlock_root": unlock_root_alone,
    },
    "rmap_walk_anon": {"rmap_walk_anon_lock": lock_alone, "rmap_walk_anon_unlock": unlock_alone},
    "unlink_anon_vmas": {"unlink_anon_vmas": unlink_as_reader},
    "expand_downwards": {"expand_downwards": expand_as_reader},
    "move_ptes": {"move_ptes": move_as_reader},
    "collapse_huge_page": {"collapse_huge_page": collapse_as_reader},
}


def right(name: str) -> str:
    """How the function takes the lock in Linux 3.8."""
    return "read" if USERS[name].walks else "write"


def divided(answer: Mapping[str, str]) -> Variant:
    """Linux 3.8, but each function of *answer* takes the lock as that says."""
    changes: dict[str, Any] = {}
    for name, how in answer.items():
        if how != right(name):
            changes.update(_OTHERWISE[name])
    return variant("rwsem_v38").changed("my_division", **changes)


@cache
def seen(name: str) -> Judgement:
    """What goes wrong in its world if one function that changes more than PTEs takes the lock to read."""
    it = USERS[name]
    return judge(divided({name: "read"}), it.world, **it.params)


# --- two axes ------------------------------------------------------------------------------------------------------

#: What part of the patch's throughput a division must keep.
ENOUGH: Final = 0.5


def pages_per_second(mine: Variant) -> float:
    """Simulated: eight threads of numa02, eight pages each."""
    return run("numa02", mine, threads=8, pages=8).pages_per_second


def _nothing(k: Context, anon_vma: AnonVma) -> Kernel:
    """No lock, as in the patch.  mm/rmap.c:1707 (v3.7), removed by the patch."""
    yield from ()


@cache
def patched() -> Variant:
    """Linux 3.8 with the patch's unlocked walk, so that the other walk is shared and what is left is the patch."""
    return variant("rwsem_v38").changed("patch", rmap_walk_anon_lock=_nothing, rmap_walk_anon_unlock=_nothing)


class Repair(NamedTuple):
    """Where a repair stands: the disturbers beside which it goes wrong, and the pages that eight threads move."""

    unsafe: tuple[str, ...]
    pages: float


@cache
def repairs() -> dict[str, Repair]:
    """Four ways to go on from the patch, on both axes: compaction beside each disturber, and the clock."""
    ways = {
        "a reference, as in the patch": (patched(), False),
        "every mmap_sem, to read": (patched(), True),
        "the mutex, in both walks": (variant("mutex_v37"), False),
        "an rwsem that walks share": (variant("rwsem_v38"), False),
    }
    return {
        name: Repair(tuple(it for it in COLUMNS if _judged(how, it, granted).violation), pages_per_second(how))
        for name, (how, granted) in ways.items()
    }


def _judged(how: Variant, disturber: str, granted: bool) -> Judgement:
    return judge(how, WORLD, **meeting("compaction", disturber, granted))


def plane() -> str:
    """:func:`repairs` as a table."""
    rows = {name: f"{it.pages:>12,.0f}   {', '.join(it.unsafe) or 'none'}" for name, it in repairs().items()}
    return table(rows, f"{'':30}{'pages/s':>12}   goes wrong beside     (pages/s: simulated)")


# --- 07.3 ----------------------------------------------------------------------------------------------------------


@exercise("L07.3")
def read_or_write(answer: Mapping[str, str]) -> Report:
    """A table function -> ``read`` or ``write``: the kernel that it makes is checked, then timed."""
    unknown = [f"'{name}: {how}'" for name, how in answer.items() if name not in USERS or how not in HOW]
    if unknown or set(answer) != set(USERS):
        told = (
            f"{', '.join(unknown) or 'A function is missing'}: each of {', '.join(USERS)} takes it to read or to write."
        )
        return Report("L07.3", (Finding(False, told),))
    findings, trace = [], None
    for name in (it for it, how in answer.items() if how == "read" and not USERS[it].walks):
        verdict, tag = seen(name), USERS[name].tag
        findings.append(Finding(False, f"{name} to read: {verdict.sentence}. {named(tag)}", tag))
        trace = trace or verdict.trace
    mine = divided(answer)
    if not findings:
        for name in (it for it in USERS if USERS[it].world):
            told = judge(mine, USERS[name].world, **USERS[name].params).sentence
            findings.append(Finding(True, f"{name}: {told}."))
    part = pages_per_second(mine) / pages_per_second(patched())
    told = f"eight threads move {100 * part:.0f} % of what they move with the patch (simulated)"
    if part >= ENOUGH:
        findings.append(Finding(True, f"{told}."))
    else:
        why = f"{told}; {100 * ENOUGH:.0f} % are wanted. Must walks keep each other out? {named('M27')}"
        findings.append(Finding(False, why, "M27"))
    return Report("L07.3", tuple(findings), trace)
