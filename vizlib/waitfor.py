"""Who waits for whom: tasks and locks as a graph, and the circle in it that is a deadlock.

A task points at the lock it waits for, a lock at whoever holds it; so a circle is a deadlock, for nobody in it can go
on before the others do.  A task in the queue of a rwsem also waits for the writer before it, and the sender of an
interrupt for the CPUs that have not answered.  What nobody holds, such as the end of writeback, is up to whoever else
has not finished: that is said, and drawn, once nobody can run.  Tasks that run and locks that nobody waits for are
left out, unless somebody waits for them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from sim.locks import Rwsem
from sim.ops import Field
from vizlib.lenses.lock import Hold, Lock, in_order, lock, lock_id
from vizlib.moments import Actor, Moment, Run
from vizlib.names import field_name, listed, lock_name
from vizlib.waiting import late_cpus


class Edge(NamedTuple):
    """*source* cannot go on before *target* lets it.

    Attributes:
        source: a task or a lock, as ``task:mover`` or ``lock:f0.PG_locked``.
        words: what the arrow says: ``waits for``, ``held by``, ``queues behind``, ``waits for the answer of``,
            ``which is up to``.
    """

    source: str
    target: str
    words: str


@dataclass(frozen=True)
class WaitGraph:
    """The graph at one moment.

    Attributes:
        tasks: by id, the tasks that wait or are waited for; locks: the locks that somebody waits for.
        said: what each node is called in a sentence.
        circles: each deadlock, as the ids on its way round, beginning with a task.
    """

    tasks: dict[str, Actor]
    locks: dict[str, Lock]
    said: dict[str, str]
    edges: tuple[Edge, ...]
    circles: tuple[tuple[str, ...], ...]

    def after(self, source: str, target: str) -> Edge:
        """The edge from *source* to *target*."""
        return next(it for it in self.edges if (it.source, it.target) == (source, target))


def wait_graph(moment: Moment) -> WaitGraph:
    """Who waits for whom at *moment*."""
    run = moment.run
    edges = list(edges_at(moment))
    locks = {lock_id(it): lock(it, moment) for it in _waited_for(moment)}
    said = {lock_id(it): lock_name(it, moment) for it in _waited_for(moment)}
    said |= {it.target: f"the {field_name(run.awaited[it.target], moment)}" for it in edges if it.target in run.awaited}
    named = {name for edge in edges for name in edge[:2]}
    tasks = {f"task:{it.name}": it for it in run.actors if f"task:{it.name}" in named}
    said |= {name: it.cpu_name if it.kind == "handler" else it.name for name, it in tasks.items()}
    return WaitGraph(
        tasks, locks, said, tuple(edges), tuple(_circles([*tasks, *(it for it in said if it not in tasks)], edges))
    )


def edges_at(moment: Moment) -> Iterator[Edge]:
    """Every edge at *moment*: lock by lock in lock order, then what is waited for beside locks."""
    for field in _waited_for(moment):
        yield from _of_lock(lock_id(field), lock(field, moment), queues=isinstance(moment.get(field), Rwsem))
    for actor in moment.run.actors:
        blocker = moment.waits_for(actor)
        if blocker is not None and actor.kind != "handler" and blocker.lock is None:
            yield from _of_other(actor, blocker, moment)
    yield from _up_to(moment)


def _up_to(moment: Moment) -> Iterator[Edge]:
    """In a deadlock, from what a task waits for and nobody holds to those without whom it does not come about."""
    violation = moment.run.trace.violation
    if violation is None or violation.kind != "deadlock" or not moment.ended:
        return
    waiting = [(it, moment.waits_for(it)) for it in moment.run.actors if it.kind == "thread"]
    for actor, field in waiting:
        if f"field:{field}" in moment.run.awaited:
            others = (it for it, awaited in waiting if awaited is not None and it is not actor)
            yield from (Edge(f"field:{field}", f"task:{it.name}", "which is up to") for it in others)


def _waited_for(moment: Moment) -> list[Field]:
    """The locks that somebody waits for, in lock order."""
    found = {moment.waits_for(it) for it in moment.run.actors} & moment.run.locked
    return in_order(it for it in found if it is not None)


def edges_of(actor: Actor, moment: Moment) -> Iterator[Edge]:
    """The edges that leave the task *actor*."""
    field = moment.waits_for(actor)
    if field is None or actor.kind == "handler":
        return
    if field.lock is None:
        yield from _of_other(actor, field, moment)
        return
    queues = isinstance(moment.get(field), Rwsem)
    every = _of_lock(lock_id(field), lock(field, moment), queues=queues)
    yield from (it for it in every if it.source == f"task:{actor.name}")


def edges_of_lock(field: Field, moment: Moment) -> Iterator[Edge]:
    """The edges that leave a lock if somebody waits for it: to those who hold it."""
    return _of_lock(lock_id(field), lock(field, moment, waiting=False)._replace(waiters=()), queues=False)


def _of_lock(name: str, it: Lock, *, queues: bool) -> Iterator[Edge]:
    for hold in it.waiters:
        yield Edge(f"task:{hold.task}", name, "waits to read" if hold.mode else "waits for")
    for hold in dict.fromkeys(it.holders):
        yield Edge(name, f"task:{hold.task}", "read by" if hold.mode else "held by")
    if queues:
        for at, hold in enumerate(it.waiters):
            ahead = _ahead(it.waiters[:at], hold)
            if ahead is not None and ahead.task != hold.task:
                yield Edge(f"task:{hold.task}", f"task:{ahead.task}", "queues behind")


def _ahead(queue: tuple[Hold, ...], hold: Hold) -> Hold | None:
    """Who in the *queue* has to have had the rwsem before *hold* gets it: readers go together."""
    before = [it for it in queue if not (it.mode and hold.mode)]
    return before[-1] if before else None


def _of_other(actor: Actor, field: Field, moment: Moment) -> Iterator[Edge]:
    source = f"task:{actor.name}"
    if field.base == "csd_pending":
        late = late_cpus(actor, moment)
        for it in moment.run.actors:
            if it.kind == "handler" and it.cpu in late:
                yield Edge(source, f"task:{it.name}", "waits for the answer of")
        return
    if f"field:{field}" in moment.run.awaited:
        yield Edge(source, f"field:{field}", "waits for")


def _circles(order: list[str], edges: list[Edge]) -> Iterator[tuple[str, ...]]:
    """One shortest circle of each knot of nodes that wait for each other, in the order of the nodes."""
    import networkx as nx

    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_nodes_from(order)
    graph.add_edges_from((it.source, it.target) for it in edges)
    rank = {name: at for at, name in enumerate(order)}
    knots = [sorted(it, key=rank.__getitem__) for it in nx.strongly_connected_components(graph) if len(it) > 1]
    for knot in sorted(knots, key=lambda it: rank[it[0]]):
        within = graph.subgraph(knot)
        ways = [nx.shortest_path(within, target, source) for source in knot for target in within.successors(source)]
        way = min(ways, key=len)
        start = min(range(len(way)), key=lambda at: rank[way[at]])
        yield tuple(way[start:] + way[:start])


def told(graph: WaitGraph) -> Iterator[str]:
    """The text twin: a line for those who wait for the same, and one for each deadlock."""
    waiting: dict[str, list[str]] = {}
    for name in graph.tasks:
        by_words: dict[str, list[str]] = {}
        for edge in graph.edges:
            if edge.source == name:
                by_words.setdefault(edge.words, []).append(edge.target)
        if by_words:
            words = ", and ".join(_waits(graph, words, targets) for words, targets in by_words.items())
            waiting.setdefault(words, []).append(graph.said[name])
    for words, names in waiting.items():
        first, _, rest = words.partition(" ")
        yield f"{listed(names)} {first if len(names) == 1 else first.removesuffix('s')} {rest}"
    for circle in graph.circles:
        yield f"Deadlock: {_round(graph, circle)}. None can ever go on."


def _waits(graph: WaitGraph, words: str, targets: list[str]) -> str:
    said = f"{words} {listed(graph.said[it] for it in targets)}"
    holding = [it for it in graph.edges if it.source in targets and it.source not in graph.tasks]
    return f"{said}, {holding[0].words} {listed(graph.said[it.target] for it in holding)}" if holding else said


def _round(graph: WaitGraph, circle: tuple[str, ...]) -> str:
    """A circle in words: ``a waits for the lock L, held by b, which waits for …, held by a``."""
    words = graph.said[circle[0]]
    for source, target in zip(circle, (*circle[1:], circle[0]), strict=True):
        edge = graph.after(source, target)
        link = "," if source not in graph.tasks else " which" if source != circle[0] else ""
        words += f"{',' if link == ' which' else ''}{link} {edge.words} {graph.said[target]}"
    return words


def busiest(run: Run) -> int | None:
    """The first of the steps after which most tasks wait, or None if nobody ever does."""
    best, most = None, 0
    for moment in run.moments():
        waiting = sum(
            it.kind == "thread" and not moment.finished(it) and moment.waits_for(it) is not None for it in run.actors
        )
        if waiting > most:
            best, most = moment.step, waiting
    return best
