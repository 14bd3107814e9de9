"""A family in the reverse map: which anon_vma descends from which, who points to whom, and where a walk stands.

After a fork a VMA is linked to its own anon_vma and to each that its process descends from, by an AVC each.  A walk
for a page starts at the page's anon_vma, goes through the AVCs in its interval tree, and looks at the VMA of each.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from sim.ops import Field
from sim.structs import AnonVma, AnonVmaChain, Struct, Vma
from vizlib.layout import generations
from vizlib.lenses import avc
from vizlib.moments import Actor, Moment, Run

#: The call that begins a walk, and the file of those that find the next AVC.
_FIRST, _TREE = "anon_vma_interval_tree_iter_first", "sim/kernel/interval_tree.py"


def ever_above(run: Run, link: Struct) -> list[AnonVma]:
    """The anon_vmas that an AVC is ever linked to."""
    return [it for it in run.ever.get(link.anon_vma, ()) if isinstance(it, AnonVma)]


def ever_below(run: Run, link: Struct) -> list[Vma]:
    """The VMAs that an AVC is ever linked to."""
    return [it for it in run.ever.get(link.vma, ()) if isinstance(it, Vma)]


def descent(run: Run, anon_vmas: Sequence[AnonVma]) -> dict[AnonVma, int]:
    """*anon_vmas* from the roots down, each with its generation: 0 for a root.

    What a VMA is linked to beside its own anon_vma are the ancestors of that one.
    """
    linked: dict[Vma, dict[AnonVma, None]] = {}
    for field in run.ever:
        if field.base == "vma" and isinstance(field.ref, AnonVmaChain):
            for it in ever_below(run, field.ref):
                linked.setdefault(it, {}).update(dict.fromkeys(ever_above(run, field.ref)))
    edges = []
    for it, its in linked.items():
        own = next((value for value in reversed(run.ever.get(it.anon_vma, [])) if value in anon_vmas), None)
        edges += [(above, own) for above in its if own is not None and above in anon_vmas and above is not own]
    if not edges:
        return dict.fromkeys(anon_vmas, 0)
    from networkx import NetworkXUnfeasible

    try:
        columns = generations(dict.fromkeys(edges), anon_vmas)
    except NetworkXUnfeasible:  # linked both ways, by a kernel that is broken on purpose: no generations then
        columns = [list(anon_vmas)]
    return {it: depth for depth, column in enumerate(columns) for it in column}


def is_there(node: Struct, moment: Moment) -> bool:
    """Whether an anon_vma, an AVC or a VMA is more than a piece of memory now."""
    return not moment.get(node.life) and bool(moment.get(_sign_of_life(node)))


def _sign_of_life(node: Struct) -> Field:
    match node:
        case AnonVma():
            return node.root
        case AnonVmaChain():
            return node.vma
        case Vma():
            return node.vm_end
    return node.life


def pointers(nodes: Iterable[Struct], moment: Moment) -> Iterator[tuple[Struct, Struct]]:
    """Who points to whom: an anon_vma to the top of its tree, an AVC to those below it and to its VMA."""
    for node in nodes:
        if isinstance(node, AnonVma):
            yield from ((above, link) for link, above in avc.in_tree(node, moment).items())
        elif isinstance(node, AnonVmaChain) and moment.get(node.vma) is not None:
            yield node, moment.get(node.vma)


def points_anew(start: Struct, end: Struct, moment: Moment) -> Actor | None:
    """Who made the step, if since then *start* points to *end*."""
    toucher = moment.toucher(start)
    if toucher is None or not any(moment.get(it) is end for it in moment.changed_in(start)):
        return None
    return toucher


# --- walks -------------------------------------------------------------------------------------------------------


class Walk(NamedTuple):
    """A walk that is under way.

    Attributes:
        function: who walks: ``try_to_unmap_anon``, ``rmap_walk_anon``, …
        anon_vma: whose tree.
        stops: the AVCs whose VMA it has looked at, in order; it stands at the last one.
    """

    function: str
    anon_vma: AnonVma
    stops: tuple[AnonVmaChain, ...] = ()


def stop_of(moment: Moment) -> tuple[str, AnonVma | AnonVmaChain] | None:
    """The walk that the step of *moment* begins, or takes on: who walks, and the place where it stands now."""
    op: Any = None if moment.event is None else moment.event.op
    if not isinstance(op, Field) or not moment.stack:
        return None
    inner = moment.stack[-1]
    if op.base == "rb_root" and inner.function == _FIRST and isinstance(op.ref, AnonVma) and len(moment.stack) > 1:
        return moment.stack[-2].function, op.ref
    if op.base == "vma" and isinstance(op.ref, AnonVmaChain) and inner.file != _TREE:
        return inner.function, op.ref
    return None


def stop_json(moment: Moment) -> list[str] | None:
    """The same for a film: who walks, the place's mark, and ``tree`` where the walk begins."""
    stop = stop_of(moment)
    if stop is None:
        return None
    return [stop[0], f"kin:{stop[1]}", *(["tree"] if isinstance(stop[1], AnonVma) else [])]


def walks_after(before: Mapping[str, Walk], moment: Moment) -> Mapping[str, Walk]:
    """The walks under way after a step, by task; *before*: those under way before it."""
    if moment.actor is None:
        return {}
    task = moment.actor.name
    now = before.get(task)
    stop = stop_of(moment)
    if stop is not None:
        function, place = stop
        if isinstance(place, AnonVma):
            return {**before, task: Walk(function, place)}
        if now is not None and now.function == function:
            return {**before, task: now._replace(stops=(*now.stops, place))}
    if now is not None and now.function not in moment.functions:
        return {name: it for name, it in before.items() if name != task}
    return before


def walks_at(run: Run, step: int) -> Mapping[str, Walk]:
    """The walks under way after *step*, by task."""
    walks: Mapping[str, Walk] = {}
    for moment in run.moments():
        walks = walks_after(walks, moment)
        if moment.step == step:
            return walks
    raise IndexError(f"step {step} is not between 0 and {run.length}")


def told(walks: Mapping[str, Walk], moment: Moment) -> Iterator[str]:
    """The walks in a sentence each."""
    for task, it in walks.items():
        if it.stops:
            where = f"stop {len(it.stops)}, {it.stops[-1]}, VMA {moment.get(it.stops[-1].vma)}"
        else:
            where = "no stop yet"
        yield f"{task} walks {it.anon_vma} in {it.function}: {where}"
