"""Livelock: a state from which no final state can be reached, whoever goes next.

Asked only of a complete set of states without any other violation, so every state has a way on or is final.  Then
there is a livelock exactly if there is a trap: states that are not final, and that no step leaves.  A trap has a
part in which every state is reached from every other for ever, and there a task that moves must come back to its
own local state.  So only few states need a second look: those in which no task can leave a loop of its own code.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from sim.engines.checker_tables import Row, Tables
from sim.invariants import Violation


def search(tables: Tables, seen: Mapping[int, int]) -> tuple[Violation, int] | None:
    """The first state of *seen* from which no final state can be reached, and what to say of it.

    *seen* holds every state, in order of depth.
    """
    if not trap(tables, suspects(tables, seen)):
        return None
    doomed = set(seen) - with_way_to(tables, seen, {it for it in seen if not it & tables.busy})
    state = next(it for it in seen if it in doomed)
    return _violation(tables, state), state


def suspects(tables: Tables, seen: Iterable[int]) -> list[int]:
    """The states in which somebody has not finished, and no task can make a step out of a loop of its own code."""
    busy = tables.busy
    lanes = [(own, _ways_out(rows, own)) for (own, _, _), rows in zip(tables.lanes, tables.rows, strict=True)]
    found = []
    for state in seen:
        if state & busy:
            for own, rows in lanes:
                mask, leaves = rows[state & own]
                if state & mask in leaves:
                    break
            else:
                found.append(state)
    return found


def _ways_out(rows: Mapping[int, Row], own: int) -> dict[int, tuple[int, set[int]]]:
    """For each local state of a task its mask, and for which (state & mask) a step leads out of all its loops."""
    after = {
        code: {key: {(code + key + it.delta) & own for it in found} for key, found in row.outcomes.items()}
        for code, row in rows.items()
    }
    loop = _components({code: set().union(*to.values()) for code, to in after.items()})
    return {
        code: (row.mask, {key for key, to in after[code].items() if any(loop[it] != loop[code] for it in to)})
        for code, row in rows.items()
    }


def _components(after: Mapping[int, set[int]]) -> dict[int, int]:
    """For each node of a graph a member of its strongly connected component, the same for all of them (Kosaraju)."""
    order: list[int] = []
    seen: set[int] = set()
    for first in after:
        todo = [(first, False)]
        while todo:
            node, left = todo.pop()
            if left:
                order.append(node)
            elif node not in seen:
                seen.add(node)
                todo.append((node, True))
                todo += [(it, False) for it in after[node]]
    before: dict[int, list[int]] = {node: [] for node in after}
    for node, following in after.items():
        for it in following:
            before[it].append(node)
    component: dict[int, int] = {}
    for first in reversed(order):
        nodes = [first]
        while nodes:
            node = nodes.pop()
            if node not in component:
                component[node] = first
                nodes += before[node]
    return component


def trap(tables: Tables, states: Collection[int]) -> set[int]:
    """The largest part of *states* that no step leaves."""
    rest = set(states)
    before: dict[int, list[int]] = {}
    out = []
    lanes = tables.lanes
    for state in states:
        for own, task, rows in lanes:  # as Tables.successors does, without a generator: this is half of a long check
            mask, lookup = rows[state & own]
            delta = lookup(state & mask)
            if delta:
                after = state + delta
                if after not in rest:
                    out.append(state)
                    break
                before.setdefault(after, []).append(state)
            elif delta is None and _leaves_slowly(tables, state, task, rest, before):
                out.append(state)
                break
    while out:
        state = out.pop()
        if state in rest:
            rest.discard(state)
            out += before.get(state, ())
    return rest


def _leaves_slowly(tables: Tables, state: int, task: int, rest: Collection[int], before: dict[int, list[int]]) -> bool:
    """Whether a step that is a decision, or stays in place, leaves *rest*; if it does not, it is noted in *before*."""
    for it in tables.outcomes(state, task):
        if it.violation is None:
            after = state + it.delta
            if after not in rest:
                return True
            before.setdefault(after, []).append(state)
    return False


def with_way_to(tables: Tables, states: Collection[int], ends: set[int]) -> set[int]:
    """Those of *states* from which one of *ends* can be reached."""
    before: dict[int, list[int]] = {}
    for state in states:
        for after in tables.successors(state):
            before.setdefault(after, []).append(state)
    found, todo = set(ends), list(ends)
    while todo:
        for state in before.get(todo.pop(), ()):
            if state not in found:
                found.add(state)
                todo.append(state)
    return found


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
    if not stuck:
        return Violation("livelock", "from here on no order of steps lets every task finish")
    names = " and ".join(map(str, stuck))
    return Violation("livelock", f"{names} can never finish, whoever goes next", tuple(stuck))
