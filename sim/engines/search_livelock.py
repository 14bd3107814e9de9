"""Livelock: a state from which no final state can be reached, whoever goes next.

Asked only of a complete set of states without any other violation, so every state has a way on or is final.
"""

from __future__ import annotations

from collections.abc import Mapping

from sim.engines.checker_tables import Tables
from sim.invariants import Violation


def search(tables: Tables, seen: Mapping[int, int]) -> tuple[Violation, int] | None:
    """The first state of *seen* that is doomed, and what to say of it.

    *seen* holds every state, in order of depth, with the one from which it was met.
    """
    doomed = doomed_states(tables, seen)
    if not doomed:
        return None
    state = next(it for it in seen if it in doomed)
    return _violation(tables, state), state


def doomed_states(tables: Tables, seen: Mapping[int, int]) -> set[int]:
    """The states of *seen* from which no final state can be reached.

    One way back over all states, last first, settles nearly all of them: who leads to a state that can end can end
    too.  Only the rest, where ways lead backwards, needs a search of its own.
    """
    ends: set[int] = set()
    rest: list[int] = []
    busy = tables.busy
    for state in reversed(seen):
        if state in ends or not state & busy or any(it in ends for it in tables.successors(state)):
            ends.add(state)
            ends.add(seen[state])
        else:
            rest.append(state)
    return _without_way_out(tables, [it for it in rest if it not in ends], ends)


def _without_way_out(tables: Tables, rest: list[int], ends: set[int]) -> set[int]:
    """Those of *rest* from which there is no way to *ends*."""
    doomed = set(rest)
    before: dict[int, list[int]] = {}
    out: list[int] = []
    for state in rest:
        for after in tables.successors(state):
            if after in ends:
                out.append(state)
                break
            before.setdefault(after, []).append(state)
    while out:
        state = out.pop()
        if state in doomed:
            doomed.discard(state)
            out += before.get(state, ())
    return doomed


def _violation(tables: Tables, state: int) -> Violation:
    """Name the tasks that finish in no state that can still come."""
    reached, todo = {state}, [state]
    while todo:
        for after in tables.successors(todo.pop()):
            if after not in reached:
                reached.add(after)
                todo.append(after)
    stuck = [
        info.task
        for number, info in enumerate(tables.tasks)
        if not info.daemon and not any(tables.finished(it, number) for it in reached)
    ]
    if not stuck:  # each can finish, but never all
        return Violation("livelock", "from here on no order of steps lets every task finish")
    names = " and ".join(map(str, stuck))
    return Violation("livelock", f"{names} can never finish, whoever goes next", tuple(stuck))
