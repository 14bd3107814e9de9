"""One English sentence an event.

An exhaustive match over :mod:`sim.ops`: a new operation is missed by the type checker until it has a sentence here.
The call stack says what the operation is for, the memory after it says what it did to others.
"""

from __future__ import annotations

from typing import Any, assert_never, cast

from sim.locks import Rwsem, holders
from sim.ops import (
    SHARED,
    TLB_FLUSH_ALL,
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
from vizlib import readings
from vizlib.moments import Actor, Moment, cpu_name
from vizlib.names import (
    cpus,
    flushed_pages,
    frame_name,
    held_page,
    listed,
    lock_name,
    page_and_frame,
    page_name,
    pages_name,
    struct_name,
    vpn_of,
)

#: What a struct is called when one is made or freed.
KINDS = {
    "Page": "frame",
    "AnonVmaChain": "anon_vma_chain",
    "AnonVma": "anon_vma",
    "Vma": "VMA",
    "PageTable": "page table",
    "Mm": "address space",
}

#: What a lock is taken for: by the name of the lock, then by the innermost of these functions on the stack.
PURPOSES: dict[str, dict[str, str]] = {
    "mmap_sem": {
        "__do_page_fault": "to handle the fault: no VMA may go away meanwhile",
        "do_move_page_to_node_array": "so that no VMA goes away meanwhile",
        "dup_mmap": "so that nothing is mapped while the address space is copied",
        "exit_mm": "for a moment: a core dump may be under way",
        "sys_madvise": "so that no VMA goes away meanwhile",
        "vm_munmap": "to take VMAs out",
        "sys_mprotect": "to change VMAs and PTEs: no fault goes on meanwhile",
        "sys_mremap": "to change VMAs and PTEs: no fault goes on meanwhile",
        "setup_arg_pages": "to move the stack",
        "collapse_huge_page": "so that no fault misses the page table",
    },
    "PG_locked": {
        "move_to_new_page": "until the copy is mapped",
        "__unmap_and_move": "for the whole move: who meets a migration entry waits for it",
        "do_numa_page": "so that one thread at a time looks at these NUMA hints",
        "do_wp_page": "so that nobody migrates the page while it is looked at",
        "do_huge_pmd_numa_page": "so that one thread at a time moves the huge page",
    },
    "anon_vma": {
        "try_to_unmap_anon": "for the unmap walk",
        "rmap_walk_anon": "for the remap walk",
        "expand_downwards": "to change the VMA and its tree",
        "anon_vma_prepare": "to link a VMA",
        "anon_vma_clone": "to link a copy of the VMA wherever the VMA is linked",
        "anon_vma_fork": "to link the child's VMA to its own anon_vma",
        "unlink_anon_vmas": "to take the VMA out of its trees",
        "_change_bounds": "to change the VMA and its tree",
        "move_ptes": "so that no walk misses a PTE on its way",
        "collapse_huge_page": "so that no walk misses the page table",
        "split_huge_page": "to split the huge page",
    },
    "page_table_lock": {
        "anon_vma_prepare": "to set the VMA's anon_vma",
        "__pte_alloc": "to add a page table",
        "collapse_huge_page": "to change the page directory",
        "do_huge_pmd_numa_page": "to look at the NUMA hint on the huge page again",
        "__do_huge_pmd_anonymous_page": "to map a new huge page",
        "__split_huge_page_pmd": "to see which huge page is to be split",
        "__split_huge_page_splitting": "to mark its entry for the huge page as splitting",
        "__split_huge_page_map": "to put a page table in the place of the huge page",
        "migrate_misplaced_transhuge_page": "to map the copy of the huge page, if nobody has touched the entry",
    },
    "ptl": {
        "migration_entry_wait": "to look at the migration entry again",
        "do_anonymous_page": "to map a new page",
        "_copy_on_write": "to map the copy",
        "_handle_present": "to look at the PTE again",
        "copy_pte_range": "to copy the PTEs",
        "zap_pte_range": "to clear the PTEs",
        "remove_migration_pte": "to replace the migration entry",
        "try_to_unmap_one": "to unmap the page",
        "follow_page": "to look the page up",
        "change_pte_range": "to take rights out of its PTEs",
        "move_ptes": "to move PTEs",
        "collapse_huge_page": "to look at its PTEs",
        "do_numa_page": "to look at the NUMA hints",
    },
}


def sentence(moment: Moment) -> str:
    """What the step did, with the name of who did it; step 0 says who can begin."""
    event, actor = moment.event, moment.actor
    if event is None or actor is None:
        ready = [it.name for it in moment.run.actors if it.kind != "handler" and moment.can_run(it)]
        return f"Nothing has happened yet. {listed(ready)} can run."
    text = f"{_subject(actor)} {_does(cast('Step | Point', event.op), moment)}."
    violation = event.violation
    if violation is None and moment.step == moment.run.length:
        violation = moment.run.trace.violation  # of the run as a whole: a deadlock, or a broken final state
    if violation is not None and not isinstance(event.op, Bug):
        return f"{text[:-1]} — {violation.kind}: {violation.sentence}."
    return text


def _subject(actor: Actor) -> str:
    return f"{cpu_name(actor.cpu)}'s interrupt handler ({actor.name})" if actor.kind == "handler" else actor.name


def _does(op: Step | Point, moment: Moment) -> str:
    """What *op* did, without the subject."""
    assert moment.event is not None
    answer = moment.event.answer
    match op:
        case Field():
            return readings.read(moment, op, moment.get(op) if answer is None else answer)
        case Write(field, new):
            return readings.write(moment, field, new)
        case Xchg(field, new):
            return _exchange(moment, field, new, answer)
        case Wrprotect(field):
            return f"takes the right to write out of the PTE of {page_name(vpn_of(field, moment))} in one atomic step"
        case Add(field, delta):
            return readings.counted(moment, field, delta, moment.get(field))
        case AddUnless(field, delta, unless):
            if answer:
                return readings.counted(moment, field, delta, moment.get(field))
            return f"does not count {field} up, because it is {unless} already: nobody may use {field.ref} any more"
        case CmpXchg(field, old, new):
            return readings.compared(moment, field, old, new, bool(answer))
        case Acquire(lock, mode):
            return _acquire(moment, lock, mode)
        case TryAcquire(lock, mode):
            name = f"{lock_name(lock, moment)}{_mode(lock, mode)}"
            fails = f"cannot take {name.rstrip(',')}, held by {_holders(moment, lock)}, and does not wait for it"
            return f"takes {name}{_purpose(moment, lock)}".rstrip(",") if answer else fails
        case Release(lock, mode):
            return _release(moment, lock)
        case Until(field, wanted, _):
            return _until(moment, field, wanted)
        case Alloc(struct, init, tails):
            node = dict(init).get("node")
            kind = f"huge page of {tails + 1} frames" if tails else KINDS.get(struct.__name__, struct.__name__)
            return f"gets a new {kind} {answer}" + (f" on node {node}, still empty" if node is not None else "")
        case Free(ref):
            return f"frees {KINDS.get(struct_name(ref), 'object')} {ref}: from now on nobody may touch it"
        case RcuReadLock():
            return "begins an RCU read section: an anon_vma that is freed now stays an anon_vma to its end"
        case RcuReadUnlock():
            return "ends its RCU read section"
        case CopyPage(dst, src):
            return _copy(moment, dst, src)
        case UserRead(vpn):
            return _user(moment, vpn, "reads")
        case UserWrite(vpn):
            return _user(moment, vpn, "writes")
        case Walk(vpn, write):
            return _walk(moment, vpn, write)
        case Invlpg(mm, vpn, end):
            own, pages = f"its own TLB ({_cpu(moment)})", pages_name(vpn, end)
            nothing = f"nothing of {mm} is in it" if end == TLB_FLUSH_ALL else f"{pages} is not in it"
            words = f"drops {pages} from {own}" if moment.changed else f"flushes {own}: {nothing}"
            return words + _others(_remember(moment, mm, vpn, end))
        case SendIpi(mm, vpn, end):
            ranges = ((mm, vpn, end), *op.more)
            still = [cpu for its, first, last in ranges for cpu in _remember(moment, its, first, last)]
            return _send(moment, mm, flushed_pages(op), list(dict.fromkeys(still)))
        case AskFlush(mm, vpn, end):
            return f"asks for one more flush of {mm}, number {answer}: {pages_name(vpn, end)}"
        case FlushTlb(mm, vpn, end, gen):
            return _catch_up(moment, mm, pages_name(vpn, end) if gen else "what it has missed", bool(answer))
        case HandleIpi():
            return _handle(moment)
        case Choose(_, what):
            return f"decides {what}: {moment.event.choice}"
        case Bug():
            violation = moment.event.violation
            return f"stops the machine (BUG): {violation.sentence if violation else op.sentence}"
        case Point(name):
            return f"passes the tracepoint {name}"
        case _:
            assert_never(op)


def _cpu(moment: Moment) -> str:
    return "" if moment.actor is None else cpu_name(moment.actor.cpu)


def _catch_up(moment: Moment, mm: Any, pages: str, behind: bool) -> str:
    """This CPU makes the flushes that it lacks: the one for *pages*, or whatever was asked for meanwhile."""
    own = f"its own TLB ({_cpu(moment)})"
    if not behind:
        return f"looks whether {own} lacks a flush of {mm}: it does not"
    dropped = [it.key[1] for it in moment.changed if it.base == "tlb" and isinstance(it.key, tuple)]
    if not dropped:
        return f"flushes {own}: {pages} is not in it"
    return f"drops {listed(page_name(it) for it in dropped)} from {own}: now it lacks no flush of {mm}"


def _exchange(moment: Moment, field: Field, new: Any, old: Any) -> str:
    if field.base == "pte":
        vpn = vpn_of(field, moment)
        page = page_name(vpn)
        if new is not None:
            return readings.write(moment, field, new)
        slot = moment.run.tables.get(field.ref)
        mm = slot.ref if slot is not None else None
        still = _remember(moment, mm, vpn)
        held = f"; {cpus(still)} may still use what {'it remembers' if len(still) == 1 else 'they remember'}"
        return f"clears the PTE of {page} in one atomic step" + (held if still else "; no TLB holds it")
    if field.base == "PG_lru":
        page = page_and_frame(field.ref, moment)
        return f"takes {page} off the LRU list" if old else f"finds {page} off the LRU list: somebody else moves it"
    return readings.write(moment, field, new)


def _remember(moment: Moment, mm: Any, vpn: int | None, end: int = 0) -> list[Any]:
    """The CPUs whose TLB holds a page of *mm* from *vpn* to before *end* (see :class:`sim.ops.SendIpi`)."""
    found: set[Any] = set()
    for slot in moment.run.remembered:
        of, page = cast("tuple[Any, int]", slot.key)
        reached = of is mm and (end == TLB_FLUSH_ALL or page in range(vpn or 0, end or (vpn or 0) + 1))
        if reached and moment.get(slot) is not None:
            found.add(slot.ref)
    return [cpu for cpu in dict.fromkeys(it.cpu for it in moment.run.actors) if cpu in found]


def _others(still: list[Any]) -> str:
    return f"; {cpus(still)} still remember{'s' if len(still) == 1 else ''} it" if still else ""


def _mode(lock: Field, mode: str) -> str:
    if lock.lock is not None and lock.lock.name == "rwsem":
        return " to read, beside other readers," if mode == SHARED else " to write, alone,"
    return ""


def _purpose(moment: Moment, lock: Field) -> str:
    known = PURPOSES.get("anon_vma" if struct_name(lock.ref) == "AnonVma" else lock.base, {})
    for function in reversed(moment.functions):
        if function in known:
            return f" {known[function]}"
    return ""


def _holders(moment: Moment, lock: Field) -> str:
    return listed(it for it in holders(moment.get(lock)) if moment.event is None or it is not moment.event.task)


def _acquire(moment: Moment, lock: Field, mode: str) -> str:
    assert moment.event is not None
    name = f"{lock_name(lock, moment)}{_mode(lock, mode)}"
    if moment.event.outcome == "bug":
        return f"wants {name}"
    if moment.event.outcome == "blocked":
        now: Rwsem = moment.get(lock)
        ahead = _holders(moment, lock) if holders(now) else listed(task for task, _ in now.queue[:-1])
        return f"wants {name.rstrip(',')}; {ahead} has it, so it queues and sleeps"
    waited = lock not in moment.changed
    return f"{'wakes up with' if waited else 'takes'} {name}{_purpose(moment, lock)}".rstrip(",")


def _release(moment: Moment, lock: Field) -> str:
    assert moment.event is not None
    waiting = [it for it in moment.run.actors if _wants(moment, it, lock)]
    text = f"releases {lock_name(lock, moment)}"
    if not waiting:
        return text
    names = listed(it.name for it in waiting)
    return f"{text}, which {names} {'has' if len(waiting) == 1 else 'have'} been waiting for"


def _wants(moment: Moment, actor: Actor, lock: Field) -> bool:
    op = moment.pending.get(actor.task)
    if moment.event is not None and actor.task is moment.event.task:
        return False
    if isinstance(op, Acquire):
        return op.lock is lock and (lock in moment.changed)
    return isinstance(op, Until) and op.field is lock


def _until(moment: Moment, field: Field, wanted: Any) -> str:
    if field.base == "csd_pending":
        return "sees that every CPU has answered: no TLB holds the old translation any more"
    if field.lock is not None:
        return f"sees that {lock_name(field, moment)} is free, and goes on without taking it"
    return f"sees that {condition(field, wanted)}, and goes on"


def _copy(moment: Moment, dst: Any, src: Any) -> str:
    what = held_page(src, moment) or "an empty page"
    here, there = moment.get(src.node), moment.get(dst.node)
    return f"copies the 4 KiB of {what} from {frame_name(src)} on node {here} to {frame_name(dst)} on node {there}"


def _entry(moment: Moment, vpn: int) -> tuple[Any, bool]:
    """This CPU's TLB entry for a page, and whether the page table no longer says the same."""
    actor = moment.actor
    assert actor is not None
    entry = moment.get(actor.cpu.tlb[actor.mm, vpn])
    pte = moment.pte_of(actor.mm, vpn)
    stale = entry is not None and (pte is None or pte.kind != "present" or pte.page is not entry.page)
    return entry, stale


def _user(moment: Moment, vpn: int, verb: str) -> str:
    assert moment.event is not None
    entry, stale = _entry(moment, vpn)
    page = page_name(vpn)
    if moment.event.answer is False:
        if entry is None:
            return f"wants to {verb[:-1]} {page}, but the TLB of {_cpu(moment)} does not have it: a TLB miss"
        return f"wants to {verb[:-1]} {page}, but its TLB entry is not yet marked dirty: the page table is walked again"
    if entry is None:
        return f"{verb} {page}"
    where = f"{frame_name(entry.page)} on node {moment.get(entry.page.node)}"
    if stale:
        return f"{verb} {page} through a STALE TLB entry: straight into {where}, whatever the page table says now"
    return f"{verb} {page}, in {where}, through its TLB"


def _walk(moment: Moment, vpn: int, write: bool) -> str:
    assert moment.event is not None
    page = page_name(vpn)
    verb = f"has the hardware of {_cpu(moment)} walk the page table for {page}"
    match moment.event.answer:
        case None:
            entry, _ = _entry(moment, vpn)
            where = frame_name(entry.page) if entry is not None else "its frame"
            return f"{verb}: the TLB remembers {where}{', dirty' if write else ''} from now on"
        case "none":
            return f"{verb}: nothing is mapped there, a page fault"
        case "prot_none":
            return f"{verb}: a NUMA hint, a page fault on purpose"
        case "migration":
            return f"{verb}: a migration entry, a page fault"
        case "swap":
            return f"{verb}: it has been swapped out, a page fault"
        case "not_present":
            return f"{verb}: its huge page is closed while it is split, a page fault"
        case other:
            return f"{verb}: {other}, a page fault"


def _send(moment: Moment, mm: Any, pages: str, still: list[Any]) -> str:
    targets = [it.ref for it in moment.changed if it.base == "call_single_queue"]
    if not targets:
        return f"finds no other CPU that runs {mm}: no interrupt is needed"
    stale = f"; until then {cpus(still)} can use the stale entry" if still else ""
    return f"sends an interrupt to {cpus(targets)}: drop {pages}! It now waits for every answer{stale}"


def _handle(moment: Moment) -> str:
    senders = [cpu_name(it.ref) for it in moment.changed if it.base == "csd_pending"]
    keys: list[Any] = [it.key for it in moment.changed if it.base == "tlb"]
    dropped = f"drops {listed(page_name(it[1]) for it in keys)} from the TLB" if keys else "has nothing to drop"
    return f"takes the interrupt, {dropped} and answers {listed(senders)}"
