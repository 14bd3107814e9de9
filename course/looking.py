"""Reading a run: the values of a field, the locks held when it changed, stopping in a function."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby
from typing import Any

from sim import Stepper
from sim.ops import EXCLUSIVE, Field, Walk
from sim.trace import Trace


def run_to(stepper: Stepper, task: str, function: str) -> Stepper:
    """Let *task* run until it stands in *function*, as a debugger does at a breakpoint.

    Raises:
        ValueError: if it gets stuck or ends before that.
    """
    who = stepper.task(task)
    while not any(frame.function == function for frame in stepper.machine.stack(who)):
        if not stepper.machine.enabled(who):
            raise ValueError(f"{task} does not come to {function}: it has ended, or it waits for somebody else")
        stepper.step(who)
    return stepper


def play(trace: Trace) -> Any:
    """The player of a run, paused at the first decision."""
    from vizlib.film import film
    from vizlib.player.widget import Player

    return Player(film(trace))


def spell(value: Any) -> str:
    """A value of memory in a few words: ``migration entry -> f0``."""
    if value is None:
        return "none"
    if type(value).__name__ == "Pte":
        kind = {"migration": "migration entry", "prot_none": "NUMA hint"}.get(value.kind, "present")
        return f"{kind} -> {value.page}{', dirty' if value.dirty and kind == 'present' else ''}"
    if type(value).__name__ == "TlbEntry":
        return f"-> {value.page}"
    return str(value)


def find(trace: Trace, name: str) -> Field:
    """The field called *name*, such as ``pt0.pte[0]``, in a run.

    Raises:
        KeyError: naming those that change in it.
    """
    known = {repr(it): it for it in trace.initial}
    known.update((repr(change.field), change.field) for event in trace.events for change in event.changes)
    if name not in known:
        changed = sorted({repr(it.field) for event in trace.events for it in event.changes})
        raise KeyError(f"this run has no field '{name}'; those that change: {', '.join(changed)}")
    return known[name]


def history(trace: Trace, name: str) -> str:
    """Every change of the field called *name*: the step, who did it, in which function, and the new value."""
    place = find(trace, name)
    lines = [f"{'start':>8}  {'':10} {'':22} {spell(trace.initial.get(place, place.default))}"]
    lines += [
        f"{event.step:>8}  {event.task!s:10} {stack[-1].function:22} {spell(change.new)}"
        for event, stack in zip(trace.events, trace.stacks, strict=True)
        for change in event.changes
        if change.field == place
    ]
    return "\n".join(line.rstrip() for line in [f"{name}, step by step:", *lines])


def steps_in(trace: Trace, function: str) -> list[int]:
    """The steps that were made in *function* itself, not in what it called.

    Raises:
        KeyError: if there are none; it names the functions in which steps were made.
    """
    where = [stack[-1].function for stack in trace.stacks]
    if function not in where:
        raise KeyError(f"this run makes no step in '{function}'; it makes some in {', '.join(sorted(set(where)))}")
    return [event.step for event, name in zip(trace.events, where, strict=True) if name == function]


def turns(trace: Trace) -> str:
    """Who ran, from which step to which."""
    lines = ["who ran:"]
    for who, group in groupby(trace.events, key=lambda event: event.task):
        steps = [event.step for event in group]
        lines.append(f"{steps[0]:>8} to {steps[-1]:<4} {who}")
    return "\n".join(lines)


def locksets(*traces: Trace) -> dict[str, tuple[str, ...]]:
    """For each kind of field the locks that were held alone at *every* change of it, in all the runs.

    Kinds are written ``PageTable.pte``.  What the hardware does (setting a PTE's dirty bit) counts as no change, and
    a lock that others may hold too (an rwsem that is held for reading) protects no writer.
    """
    common: dict[str, set[str]] = {}
    for trace in traces:
        memory = dict(trace.initial)
        for event in trace.events:
            held = {kind_of(lock) for lock, mode in memory.get(event.task.held, ()) if mode == EXCLUSIVE}
            for change in event.changes:
                if change.field.lock is None and not isinstance(event.op, Walk):
                    kind = kind_of(change.field)
                    common[kind] = common.get(kind, held) & held
                memory[change.field] = change.new
    return {kind: tuple(sorted(locks)) for kind, locks in sorted(common.items())}


def kind_of(field: Field) -> str:
    """What a field is, whatever it belongs to: ``PageTable.pte``."""
    return f"{type(field.ref).__name__}.{field.base}"


def table(rows: Mapping[str, Any], head: str = "") -> str:
    """Rows of a name and a value, one under the other."""
    width = max(map(len, rows))
    lines = [f"{name:<{width}}  {value}" for name, value in rows.items()]
    return "\n".join([head, *lines] if head else lines)
