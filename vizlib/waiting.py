"""Who could run and who not, in a few words: what each would do next, or what it waits for."""

from __future__ import annotations

from typing import Any, assert_never, cast

from sim.locks import Rwsem, holders
from sim.ops import (
    Acquire,
    Add,
    AddUnless,
    Alloc,
    AskFlush,
    Bug,
    Choose,
    CmpXchg,
    CopyPage,
    Field,
    FlushTlb,
    Free,
    HandleIpi,
    Invlpg,
    Point,
    RcuReadLock,
    RcuReadUnlock,
    Release,
    SendIpi,
    Step,
    TryAcquire,
    Until,
    UserRead,
    UserWrite,
    Walk,
    Write,
    Wrprotect,
    Xchg,
)
from sim.wording import condition
from vizlib.explain import KINDS
from vizlib.moments import Actor, Moment
from vizlib.names import cpus, field_name, flushed_pages, listed, lock_name, page_name, pages_name


def why_blocked(actor: Actor, moment: Moment) -> str:
    """Why *actor* cannot run, without its name in front."""
    field = moment.waits_for(actor)
    if field is None:
        return "has finished" if moment.finished(actor) else "can run" if moment.can_run(actor) else "waits"
    if field.base == "csd_pending":
        late = late_cpus(actor, moment)
        return f"spins until {cpus(late)} answer{'s' if len(late) == 1 else ''}" if late else "spins"
    if field.base == "call_single_queue":
        return "has no interrupt to handle"
    if field.lock is None:
        return f"waits until {condition(field, getattr(moment.pending.get(actor.task), 'value', None))}"
    by = _others_holding(moment, field, actor)
    return f"waits for {lock_name(field, moment)}, held by {by}"


def late_cpus(actor: Actor, moment: Moment) -> list[Any]:
    """The CPUs that have not answered an interrupt of *actor*'s CPU yet."""
    return [it.ref for it in moment.run.queues if any(request.sender is actor.cpu for request in moment.get(it))]


def _others_holding(moment: Moment, lock: Field, actor: Actor) -> str:
    value = moment.get(lock)
    them = [it for it in holders(value) if it is not actor.task]
    if not them and isinstance(value, Rwsem):
        them = [task for task, _ in value.queue if task is not actor.task]
    return listed(them)


def intent(actor: Actor, moment: Moment) -> str:
    """What *actor* would do next, in a few words."""
    op = cast("Step | Point | None", moment.pending.get(actor.task))
    match op:
        case None:
            return "has finished" if moment.finished(actor) else "go on"
        case Acquire(lock, _) | TryAcquire(lock, _):
            return f"take {lock_name(lock, moment).removeprefix('the ')}"
        case Release(lock, _):
            return f"release {lock_name(lock, moment).removeprefix('the ')}"
        case Write(field) | Xchg(field) | Wrprotect(field) | Add(field) | AddUnless(field) | CmpXchg(field):
            return f"change {field_name(field, moment)}"
        case Field():
            return f"read {field_name(op, moment)}"
        case CopyPage(dst, src):
            return f"copy {src} to {dst}"
        case UserRead(vpn):
            return f"read {page_name(vpn)}"
        case UserWrite(vpn):
            return f"write {page_name(vpn)}"
        case Walk(vpn, _):
            return f"walk the page table for {page_name(vpn)}"
        case Invlpg(_, vpn, end):
            return f"drop {pages_name(vpn, end)} from its own TLB"
        case SendIpi():
            return f"interrupt the others: drop {flushed_pages(op)}"
        case AskFlush(mm, vpn, end):
            return f"number one more flush of {mm}: {pages_name(vpn, end)}"
        case FlushTlb(mm):
            return f"make the flushes of {mm} that this CPU lacks"
        case HandleIpi():
            return "take the interrupt"
        case Alloc(struct, _):
            return f"get a new {KINDS.get(struct.__name__, 'object')}"
        case RcuReadLock():
            return "begin an RCU read section"
        case RcuReadUnlock():
            return "end its RCU read section"
        case Free(ref):
            return f"free {ref}"
        case Until(field, wanted, _):
            return "go on, all have answered" if field.base == "csd_pending" else f"go on, {condition(field, wanted)}"
        case Choose(_, what):
            return f"decide {what}"
        case Bug() | Point():
            return "stop the machine"
        case _:
            assert_never(op)
