"""rmapwalk's model of page migration: one kernel, three engines.

Where is what, from the bottom up; imports only go down this list:

    ops.py          what a kernel coroutine may yield
    locks.py        how each kind of lock behaves, as immutable values
    values.py       what stands in a field: PTEs, TLB entries, requests to flush
    structs.py      kernel structs: fields, what guards each, the lock order
    wording.py      what locks are called in English
    sync.py         mutex_lock, down_read, spin_lock, lock_page, ...
    ghosts.py       what kernel code tells the checks about the user's data
    context.py      the ``k`` of a kernel function, and the seams a variant may change
    kernel/         the kernel (3.7), file for file
    build.py        a kernel with some functions replaced
    user.py         what user code and the MMU do
    variants/       one file a variant of locking and TLB discipline
    rules.py        the kinds of violation in words, and the kernel's rule that each breaks
    invariants.py   what must hold
    interpreter.py  what each operation does to memory; parts of it in effects.py, lifetimes.py, hardware.py
    setup.py        the words in which a world describes its start
    worlds/         starting memories and tasks: one function a scenario, one file a group
    machine.py      driving the coroutines of one run
    schedule.py     schedules and run names
    trace.py        what happened
    engines/        stepper (a person), timed (a clock), checker (everybody, in every order)
    analysis/       profiles, lock statistics, theory, luck
    cli/            python -m sim: one file a group of commands
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sim.analysis.lockstat import lockstat
    from sim.analysis.luck import luck
    from sim.analysis.profile import profile
    from sim.engines.checker import check
    from sim.engines.quick import quick
    from sim.engines.stepper import Stepper, replay
    from sim.engines.timed import run
    from sim.trace import load
    from sim.variants import Variant

#: The names a notebook uses, and where they stand; loaded when first asked for.
_WHERE = {
    "Stepper": "sim.engines.stepper",
    "replay": "sim.engines.stepper",
    "run": "sim.engines.timed",
    "quick": "sim.engines.quick",
    "check": "sim.engines.checker",
    "luck": "sim.analysis.luck",
    "profile": "sim.analysis.profile",
    "lockstat": "sim.analysis.lockstat",
    "load": "sim.trace",
    "Variant": "sim.variants",
}

__all__ = ["Stepper", "Variant", "check", "load", "lockstat", "luck", "profile", "quick", "replay", "run", "variant"]


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        return getattr(import_module(_WHERE[name]), name)
    raise AttributeError(f"sim has no name '{name}'; there are: {', '.join(__all__)}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def variant(name: str) -> Variant:
    """The variant called *name*; change it with ``.changed("mine", seam=function)``.

    Raises:
        UnknownName: naming the nearest ones.
    """
    return import_module("sim.variants").find(name)  # type: ignore[no-any-return]
