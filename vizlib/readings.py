"""What it means to read a field or to store into it, in English: one sentence a field.

:mod:`vizlib.explain` asks here for the two operations whose meaning lies in the field and not in the operation.
A sentence is made of *who* (the task), *ref* (the object) and *value*; the function on the stack says why.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sim.ops import Field
from sim.values import Pmd
from sim.wording import times
from vizlib.moments import Moment
from vizlib.names import (
    cpus,
    field_name,
    frame_name,
    held_page,
    listed,
    page_and_frame,
    page_name,
    pmd_value,
    struct_name,
    value,
    vpn_of,
)

Phrase = Callable[[Moment, Field, Any], str]


def read(moment: Moment, field: Field, answer: Any) -> str:
    """What the task learns by reading *field*, without its name in front: ``reads …``."""
    phrase = READS.get((struct_name(field.ref), field.base))
    if phrase is not None:
        return phrase(moment, field, answer)
    return f"reads {field_name(field, moment)}: {value(field, answer)}"


def compared(moment: Moment, field: Field, old: Any, new: Any, done: bool) -> str:
    """What an atomic compare and exchange of *field* did, without the task's name in front."""
    what = field_name(field, moment)
    if field.base == "_count" and new == 0:
        what = frame_name(field.ref)
        if done:
            return f"freezes the references to {what} at {old}: from now on nobody gets another"
        return f"does not freeze the references to {what}: they are {value(field, moment.get(field))}, not {old}"
    if done and field.base == "pmd":
        return f"marks the huge page {new.page} of {field.ref} as splitting: user code goes on, the kernel must wait"
    if done:
        return f"sets {what} from {value(field, old)} to {value(field, new)} in one atomic step"
    return f"leaves {what} alone: it is {value(field, moment.get(field))}, not {value(field, old)}"


def write(moment: Moment, field: Field, new: Any) -> str:
    """What the task does by storing *new* into *field*, without its name in front."""
    phrase = WRITES.get((struct_name(field.ref), field.base))
    if phrase is not None:
        return phrase(moment, field, new)
    return f"sets {field_name(field, moment)} to {value(field, new)}"


# --- reading -------------------------------------------------------------------------------------------------------


def _read_pte(moment: Moment, field: Field, pte: Any) -> str:
    page = page_name(vpn_of(field, moment))
    again = " under the page-table lock" if _holds_ptl(moment, field) else ""
    if pte is None:
        return f"looks at the PTE of {page}{again}: none"
    if pte.kind == "migration":
        return f"looks at the PTE of {page}{again}: a migration entry, {frame_name(pte.page)} is on the move"
    if pte.kind == "swap":
        return f"looks at the PTE of {page}{again}: it has been swapped out to {pte.page}"
    if pte.kind == "prot_none":
        return f"looks at the PTE of {page}{again}: a NUMA hint for {frame_name(pte.page)}"
    return f"looks at the PTE of {page}{again}: it maps {frame_name(pte.page)}"


def _holds_ptl(moment: Moment, field: Field) -> bool:
    return bool(moment.event and moment.get(field.ref.ptl) is moment.event.task)


def _mapcount(moment: Moment, field: Field, count: int) -> str:
    page = page_and_frame(field.ref, moment)
    if count < 0:
        proof = ": the unmap walk was complete" if _proves(moment) else ""
        return f"sees that no PTE maps {page} any more{proof}"
    what = "PMD" if moment.get(field.ref.PG_head) else "PTE"
    return f"sees that {times(count + 1, what)} still {'map' if count else 'maps'} {page}"


def _proves(moment: Moment) -> bool:
    return moment.functions[-2:] == ("__unmap_and_move", "page_mapped")


def _page_count(moment: Moment, field: Field, count: int) -> str:
    page = frame_name(field.ref)
    if moment.functions[-1:] == ("migrate_page_move_mapping",):
        if count == 1:
            return f"counts the references to {page}: 1, its own, so nobody else uses the frame and it may be copied"
        return f"counts the references to {page}: {count}, so somebody else uses the frame and it must not be copied"
    return f"counts the references to {page}: {count}"


def _rb_root(moment: Moment, field: Field, avc: Any) -> str:
    if avc is None:
        return f"enters the interval tree of {field.ref} and finds it EMPTY"
    return f"enters the interval tree of {field.ref}: its top is {avc}"


def _child(side: str) -> Phrase:
    def phrase(_: Moment, field: Field, avc: Any) -> str:
        return f"looks {side} of {field.ref} in the interval tree: {'nothing there' if avc is None else avc}"

    return phrase


def _parent(_: Moment, field: Field, avc: Any) -> str:
    return f"climbs from {field.ref}: {'it is the top' if avc is None else f'to {avc}'}"


def _mapping(moment: Moment, field: Field, anon_vma: Any) -> str:
    page = page_and_frame(field.ref, moment)
    if anon_vma is None:
        return f"asks which anon_vma {page} belongs to: none"
    return f"asks which anon_vma {page} belongs to: {anon_vma}"


def _pmd(moment: Moment, field: Field, table: Any) -> str:
    if isinstance(table, Pmd):
        return f"looks for the page table of {field.ref}: instead there is a {pmd_value(table)}"
    missing = "there is none yet" if table is None else f"it is {table}"
    return f"looks for the page table of {field.ref}: {missing}"


def _head(_: Moment, field: Field, huge: Any) -> str:
    return f"sees that {frame_name(field.ref)} is {'the head of a huge page' if huge else 'no huge page any more'}"


def _mask(_: Moment, field: Field, mask: Any) -> str:
    return f"asks which CPUs may remember translations of {field.ref}: {cpus(mask) if mask else 'none'}"


def _locked(_: Moment, field: Field, holder: Any) -> str:
    if holder is None:
        return f"checks that {frame_name(field.ref)} is locked, and it is NOT"
    return f"checks that {frame_name(field.ref)} is locked: by {holder}"


def _holder(moment: Moment, field: Field, it: Any) -> str:
    return f"looks whether anybody holds {field_name(field, moment)}: {value(field, it)}"


def _start(_: Moment, field: Field, vpn: int) -> str:
    return f"reads where VMA {field.ref} starts: at {page_name(vpn)}"


def _end(_: Moment, field: Field, vpn: int) -> str:
    return f"reads where VMA {field.ref} ends: before {page_name(vpn)}"


def _flags(bits: int) -> str:
    words = ["it may be written" if bits & 0x2 else "it is read-only", *(["it grows down"] if bits & 0x100 else [])]
    return " and ".join(words)


def _private(moment: Moment, field: Field, it: Any) -> str:
    if it is None:
        return f"sees that {page_and_frame(field.ref, moment)} has no place in the swap area"
    where = "its place in the swap area" if struct_name(it) == "SwapSlot" else "left there for later"
    return f"reads private of {frame_name(field.ref)}: {it}, {where}"


READS: dict[tuple[str, str], Phrase] = {
    ("PageTable", "pte"): _read_pte,
    ("Page", "_mapcount"): _mapcount,
    ("Page", "_count"): _page_count,
    ("Page", "mapping"): _mapping,
    ("Page", "PG_locked"): _locked,
    ("Page", "private"): _private,
    ("Page", "PG_writeback"): lambda m, f, it: (
        f"sees that {page_and_frame(f.ref, m)} is {'' if it else 'not '}being written out"
    ),
    ("Page", "index"): lambda m, f, it: f"reads the page offset of {page_and_frame(f.ref, m)}: {it}",
    ("AnonVma", "rb_root"): _rb_root,
    ("AnonVma", "root"): lambda _, f, it: f"looks up the root of {f.ref}, whose lock guards the tree: {it}",
    ("AnonVma", "mutex"): _holder,
    ("AnonVma", "rwsem"): _holder,
    ("AnonVmaChain", "rb_left"): _child("left"),
    ("AnonVmaChain", "rb_right"): _child("right"),
    ("AnonVmaChain", "rb_parent"): _parent,
    ("AnonVmaChain", "rb_subtree_last"): lambda _, f, it: (
        f"reads how far the subtree of {f.ref} reaches: to offset {it}"
    ),
    ("AnonVmaChain", "vma"): lambda _, f, it: f"follows {f.ref} to VMA {it}",
    ("AnonVmaChain", "anon_vma"): lambda _, f, it: f"follows {f.ref} to anon_vma {it}",
    ("Mm", "mmap"): lambda _, f, it: f"lists the VMAs of {f.ref}: {listed(it) if it else 'none'}",
    ("Mm", "pmd"): _pmd,
    ("Page", "PG_head"): _head,
    ("Mm", "cpu_vm_mask"): _mask,
    ("Vma", "vm_start"): _start,
    ("Vma", "vm_end"): _end,
    ("Vma", "vm_pgoff"): lambda _, f, it: f"reads the page offset at which VMA {f.ref} starts: {it}",
    ("Vma", "vm_flags"): lambda _, f, it: f"reads the flags of VMA {f.ref}: {_flags(it)}",
    ("AnonVmaChain", "rb_color"): lambda _, f, it: f"reads the colour of {f.ref}: {it}",
    ("Vma", "vm_mm"): lambda _, f, it: f"asks whose VMA {f.ref} is: of {it}",
    ("Vma", "anon_vma"): lambda _, f, it: (
        f"asks for the anon_vma of VMA {f.ref}: {it if it is not None else 'none yet'}"
    ),
    ("Vma", "anon_vma_chain"): lambda _, f, it: f"lists the AVCs of VMA {f.ref}: {listed(it) if it else 'none'}",
}


# --- storing -------------------------------------------------------------------------------------------------------


def _write_pte(moment: Moment, field: Field, pte: Any) -> str:
    page = page_name(vpn_of(field, moment))
    old = moment.changed.get(field, pte)
    was_migrating = old is not None and old.kind == "migration"
    if pte is None:
        return f"clears the PTE of {page}"
    if pte.kind == "migration":
        return (
            f"puts a migration entry into the PTE of {page}: whoever touches {page} now waits for the page lock "
            f"of {pte.page}"
        )
    if pte.kind == "swap":
        return f"puts a swap entry into the PTE of {page}: its data is, or will be, in {pte.page}"
    if pte.kind == "prot_none":
        return f"marks {page} with a NUMA hint: its next access will fault"
    where = f"{frame_name(pte.page)} on node {moment.get(pte.page.node)}"
    if was_migrating and old.page is pte.page:
        return f"gives up the move: the PTE of {page} maps its old {where} again"
    if was_migrating:
        return f"replaces the migration entry: the PTE of {page} now maps {where}"
    if old is not None and old.kind == "prot_none":
        return f"takes the NUMA hint away: {page} may be used again, in {where}"
    if old is not None and old != pte and old.page is pte.page:
        return f"updates the PTE of {page}: {'writable' if pte.write else 'read-only'}{', dirty' if pte.dirty else ''}"
    return f"maps {page} to {where}"


def _write_mapping(moment: Moment, field: Field, anon_vma: Any) -> str:
    if anon_vma is None:
        return f"takes {page_and_frame(field.ref, moment)} out of the reverse map: it belongs to no anon_vma now"
    return f"enters {frame_name(field.ref)} in the reverse map: it belongs to {anon_vma}"


def _write_pmd(moment: Moment, field: Field, pmd: Any) -> str:
    if not isinstance(pmd, Pmd):
        return f"puts page table {pmd} into {field.ref}"
    if pmd.kind == "not_present":
        return f"closes the huge page {pmd.page} of {field.ref} to the hardware: whoever touches it now faults"
    if pmd.kind == "migration":
        return (
            f"puts a migration entry for all of {pmd.page} into {field.ref}: whoever touches it waits for its page lock"
        )
    return f"maps huge page {pmd.page} in {field.ref}, on node {moment.get(pmd.page.node)}"


def _torn(moment: Moment, field: Field, words: str) -> str:
    vma = field.ref
    old = moment.run.first.get(vma.vm_start, 0) - moment.run.first.get(vma.vm_pgoff, 0)
    if vma.vm_start in moment.run.first and moment.get(vma.vm_start) - moment.get(vma.vm_pgoff) != old:
        return f"{words}; start and page offset do not fit each other now"
    return f"{words}; start and page offset fit again" if field.base == "vm_pgoff" else words


def _write_start(moment: Moment, field: Field, vpn: int) -> str:
    return _torn(moment, field, f"moves the start of VMA {field.ref} to {page_name(vpn)}")


def _write_pgoff(moment: Moment, field: Field, offset: int) -> str:
    return _torn(moment, field, f"moves the page offset of VMA {field.ref} to {offset}")


def _write_root(moment: Moment, field: Field, avc: Any) -> str:
    old = moment.changed.get(field, avc)
    if avc is None:
        return f"takes {old} out of the interval tree of {field.ref}, which is EMPTY now: a walk finds nobody"
    return f"makes {avc} the top of the interval tree of {field.ref}"


def _write_link(side: str) -> Phrase:
    def phrase(_: Moment, field: Field, avc: Any) -> str:
        if avc is None:
            return f"leaves nothing {side} of {field.ref} in the interval tree"
        return f"hangs {avc} {side} of {field.ref} in the interval tree"

    return phrase


def _write_parent(_: Moment, field: Field, avc: Any) -> str:
    return f"notes that {field.ref} is the top of its tree" if avc is None else f"hangs {field.ref} below {avc}"


WRITES: dict[tuple[str, str], Phrase] = {
    ("PageTable", "pte"): _write_pte,
    ("Page", "mapping"): _write_mapping,
    ("Page", "index"): lambda _, f, it: f"gives {frame_name(f.ref)} the page offset {it}",
    ("Page", "_mapcount"): lambda m, f, it: f"notes that {times(it + 1, 'PTE')} map{'s' if not it else ''} {f.ref}",
    ("Page", "PG_lru"): lambda m, f, it: f"puts {page_and_frame(f.ref, m)} {'back on' if it else 'off'} the LRU list",
    ("Vma", "vm_start"): _write_start,
    ("Vma", "vm_pgoff"): _write_pgoff,
    ("Vma", "anon_vma"): lambda _, f, it: f"gives VMA {f.ref} the anon_vma {it} for its new pages",
    ("Vma", "anon_vma_chain"): lambda _, f, it: f"lists {listed(it) if it else 'no AVC'} as the links of VMA {f.ref}",
    ("AnonVma", "root"): lambda _, f, it: f"makes {it} the root of {f.ref}",
    ("AnonVma", "rb_root"): _write_root,
    ("AnonVmaChain", "rb_left"): _write_link("left"),
    ("AnonVmaChain", "rb_right"): _write_link("right"),
    ("AnonVmaChain", "rb_parent"): _write_parent,
    ("AnonVmaChain", "rb_color"): lambda _, f, it: f"colours {f.ref} {it}, to keep the tree in balance",
    ("AnonVmaChain", "rb_subtree_last"): lambda _, f, it: f"notes that the subtree of {f.ref} reaches to offset {it}",
    ("AnonVmaChain", "vma"): lambda _, f, it: f"points {f.ref} to VMA {it}",
    ("AnonVmaChain", "anon_vma"): lambda _, f, it: f"points {f.ref} to anon_vma {it}",
    ("Mm", "pmd"): _write_pmd,
    ("Mm", "pmd_huge_pte"): lambda _, f, it: f"leaves {times(len(it), 'page table')} put by in {f.ref}, for splits",
    ("Page", "PG_writeback"): lambda m, f, it: (
        f"{'begins' if it else 'ends'} the writeback of {page_and_frame(f.ref, m)}"
    ),
    ("Page", "PG_head"): lambda _, f, it: f"makes {frame_name(f.ref)} a small page: it is the head of no huge page now",
    ("Page", "first_page"): lambda _, f, it: f"makes {frame_name(f.ref)} a page of its own, no tail any more",
}


def counted(moment: Moment, field: Field, delta: int, new: int) -> str:
    """An atomic addition to *field*, without the task's name in front."""
    ref = field.ref
    match struct_name(ref), field.base:
        case "Page", "_mapcount":
            page = held_page(ref, moment)
            what = frame_name(ref) + (f" ({page})" if page else "")
            verb = "one PTE more maps" if delta > 0 else "one PTE less maps"
            return (
                f"counts: {verb} {what}, {new + 1 or 'none'} in all" if new >= 0 else f"counts: no PTE maps {what} now"
            )
        case "Page", "_count":
            what = frame_name(ref)
            verb = "takes a reference to" if delta > 0 else "drops a reference to"
            return f"{verb} {what}: {times(new, 'reference') if new else 'that was the last one'}"
        case "AnonVma", "refcount":
            verb = "pins" if delta > 0 else "unpins"
            return f"{verb} anon_vma {ref}: {times(new, 'reference')}"
    name = field_name(field, moment)
    verb = f"adds {delta} to" if delta >= 0 else f"takes {-delta} from"
    return f"{verb} {name}: {value(field, new)}"
