"""What must hold: small functions of memory that return None or a sentence that names the culprits.

:func:`after` is asked after every step, and only for the operations that could have broken something, so it
costs a lookup or two.  :func:`at_end` is asked when every task that is no daemon has finished.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

from sim.locks import holders
from sim.ops import EXCLUSIVE, Field, Free, Op, Release
from sim.rules import FLUSHED_BEFORE_FORGOTTEN as FLUSHED_BEFORE_FORGOTTEN
from sim.rules import KINDS as KINDS
from sim.rules import NO_PTE_OF_A_FREE_PAGE as NO_PTE_OF_A_FREE_PAGE
from sim.rules import ONE_PAGE_LOCK_AT_A_TIME as ONE_PAGE_LOCK_AT_A_TIME
from sim.rules import RULES as RULES
from sim.rules import WRITTEN_OUT_ONCE_FLUSHED as WRITTEN_OUT_ONCE_FLUSHED
from sim.structs import (
    SWAP_HAS_CACHE,
    VM_WRITE,
    AnonVma,
    AnonVmaChain,
    Mm,
    Page,
    PageTable,
    Pmd,
    Pte,
    Struct,
    SwapSlot,
    Vma,
)
from sim.wording import lock_words, times

Memory = dict[Field, Any]
#: For each table of an object its slots.
Tables = dict[tuple[Struct, str], list[Field]]


class Violation(Exception):
    """Something that must never happen, happened.

    Attributes:
        kind: one of :data:`KINDS`.
        sentence: what happened, in English, with names.
        culprits: the objects at fault.
        rule: the rule that was broken, with its source; that of the kind unless another is given.
    """

    def __init__(self, kind: str, sentence: str, culprits: tuple[Struct, ...] = (), rule: str = "") -> None:
        super().__init__(f"{kind}: {sentence}")
        self.kind = kind
        self.sentence = sentence
        self.culprits = culprits
        self.rule = rule or RULES.get(kind, "")


def after(op: Op, memory: Memory) -> None:
    """Check what *op* could have broken.

    Raises:
        Violation: if something does not hold.
    """
    if type(op) is Release and op.lock.base == "PG_locked" and isinstance(op.lock.ref, Page):
        _raise("stale migration entry", no_stale_migration_entry(memory, op.lock.ref), op.lock.ref)
    elif type(op) is Release and op.lock.base == "mmap_sem" and op.mode == EXCLUSIVE and isinstance(op.lock.ref, Mm):
        _raise("gained permission", no_gained_permission(memory, op.lock.ref), op.lock.ref)
    elif type(op) is Free and isinstance(op.ref, Page):
        _raise("use after free", no_freed_page_is_mapped(memory, op.ref), op.ref, rule=NO_PTE_OF_A_FREE_PAGE)


def before_forgetting(memory: Memory, field: Field, value: Any) -> None:
    """Check that a task's batch of flushes (``tlb_ubc``), if it is about to be emptied, has been flushed.

    Raises:
        Violation: if a TLB still has what the batch says.
    """
    batch = memory.get(field)
    if batch is None or not batch.flush_required or (value is not None and value.flush_required):
        return
    for mm, first, end in batch.ranges:
        for vpn in range(first, end):
            for cpu in batch.cpumask:
                sentence = next((it for _, it, _ in _stale_entry(memory, cpu.tlb[mm, vpn])), None)
                _raise("stale TLB entry", sentence, cpu, rule=FLUSHED_BEFORE_FORGOTTEN)


def _raise(kind: str, sentence: str | None, *culprits: Struct, rule: str = "") -> None:
    if sentence is not None:
        raise Violation(kind, sentence, culprits, rule)


def get(memory: Memory, field: Field) -> Any:
    """The value of *field*."""
    return memory.get(field, field.default)


def slots_in(memory: Memory) -> Tables:
    """The slots that *memory* holds.  (A table itself has those of every run there was in the process.)"""
    found: Tables = {}
    for field in memory:
        if field.key is not None:
            found.setdefault((field.ref, field.base), []).append(field)
    for slots in found.values():
        slots.sort(key=lambda it: str(it.key))
    return found


def no_stale_migration_entry(memory: Memory, page: Page) -> str | None:
    """While a migration entry exists, its old page is locked (include/linux/swapops.h:129, v3.7)."""
    left = get(memory, page.migration_ptes)
    if not left:
        return None
    return f"{page} is unlocked while {times(left, 'PTE')} still {'names' if left == 1 else 'name'} it as migrating"


def no_freed_page_is_mapped(memory: Memory, page: Page) -> str | None:
    """A frame is given back only when no PTE names it."""
    left = get(memory, page.present_ptes) + get(memory, page.migration_ptes)
    return f"{page} is freed while {times(left, 'PTE')} still {'names' if left == 1 else 'name'} it" if left else None


def no_gained_permission(memory: Memory, mm: Mm) -> str | None:
    """Who takes away the right to write has flushed it from every TLB before mmap_sem is given back."""
    for vma in get(memory, mm.mmap):
        if get(memory, vma.vm_flags) & VM_WRITE:
            continue
        for vpn in range(get(memory, vma.vm_start), get(memory, vma.vm_end)):
            pte = pte_of(memory, mm, vpn)
            if pte is not None and pte.write and pte.kind != "swap":
                return f"page {vpn} of {mm} may be written, although {vma} is read-only"
            for cpu in get(memory, mm.cpu_vm_mask):
                entry = get(memory, cpu.tlb[mm, vpn])
                if entry is not None and entry.write and not will_look_first(memory, cpu, mm):
                    return f"{cpu} can still write to page {vpn} of {mm}, although {vma} is read-only"
    return None


def at_end(memory: Memory) -> Violation | None:
    """The first thing that is wrong in a final state, or None."""
    for kind, sentence, culprit in _faults(memory):
        rule = WRITTEN_OUT_ONCE_FLUSHED if kind == "lost write" and isinstance(culprit, SwapSlot) else ""
        return Violation(kind, sentence, (culprit,), rule)
    return None


def _faults(memory: Memory) -> Iterator[tuple[str, str, Struct]]:
    refs = sorted({field.ref for field in memory}, key=lambda it: (type(it).__name__, it.name))
    live = [ref for ref in refs if not get(memory, ref.life)]
    slots = slots_in(memory)
    for field in sorted(memory, key=repr):
        if field.lock is not None and holders(memory[field]):
            yield "held at exit", f"{lock_words(field)} is still held by {holders(memory[field])[0]}", field.ref
    for ref in live:
        if isinstance(ref, Mm):
            yield from _lost_writes(memory, ref, slots)
    for ref in refs:
        yield from _own_faults(memory, ref, live, slots)
    yield from _lost_chains(memory, live)
    yield from _unreachable(memory, live, slots)
    for ref in live:
        if isinstance(ref, Mm) and (sentence := no_gained_permission(memory, ref)):
            yield "gained permission", sentence, ref
    for field in sorted((it for it in memory if it.base == "tlb"), key=repr):
        yield from _stale_entry(memory, field)


def _own_faults(memory: Memory, ref: Struct, live: list[Struct], slots: Tables) -> Iterator[tuple[str, str, Struct]]:
    """What is wrong with one object by itself, or with its counts."""
    if get(memory, ref.life):
        if isinstance(ref, PageTable):
            yield from _forgotten_ptes(memory, ref, slots)
    elif isinstance(ref, Page):
        yield from _page_counts(memory, ref)
    elif isinstance(ref, SwapSlot):
        yield from _slot_counts(memory, ref)
    elif isinstance(ref, AnonVma):
        yield from _anon_vma_counts(memory, ref, live)
        yield from _broken_tree(memory, ref, live)
    elif isinstance(ref, Mm):
        yield from _mappings(memory, ref, slots)
        if not get(memory, ref.mm_users):
            yield "leak", f"{ref} has no user left and was not freed", ref


def pte_of(memory: Memory, mm: Mm, vpn: int) -> Any:
    """The PTE of virtual page *vpn*, or None; for a page in a huge one what a PTE would say."""
    table = get(memory, mm.pmd[vpn // 512])
    if isinstance(table, Pmd):
        frames = (table.page, *get(memory, table.page.tails))[vpn % 512 :]
        return Pte(table.kind, frames[0], table.write, table.dirty) if frames else None
    return get(memory, table.pte[vpn % 512]) if isinstance(table, PageTable) else None


def _lost_writes(memory: Memory, mm: Mm, slots: Tables) -> Iterator[tuple[str, str, Struct]]:
    """Every page that was written is mapped, and its frame has the last write."""
    for field in slots.get((mm, "shadow"), ()):
        last, vpn = memory[field], cast("int", field.key)
        if last is None:
            continue
        pte = pte_of(memory, mm, vpn)
        if pte is None:
            yield "lost write", f"page {vpn} of {mm} was written and is mapped no longer", mm
        elif pte.kind == "migration":
            yield "stale migration entry", f"page {vpn} of {mm} is left as a migration entry of {pte.page}", mm
        elif get(memory, (where := _holder(memory, pte)).data) != last:
            yield "lost write", f"{where} lacks write {last.number} to page {vpn} of {mm}", where


def _holder(memory: Memory, pte: Pte) -> Page | SwapSlot:
    """What holds the data of *pte*: its frame, or for a swap entry the page in the swap cache, else the slot."""
    held: Page | SwapSlot = pte.page
    return get(memory, held.page_tree) or held if isinstance(held, SwapSlot) else held


def _stale_entry(memory: Memory, field: Field) -> Iterator[tuple[str, str, Struct]]:
    """A TLB entry is as in the page table, or allows less."""
    entry = memory.get(field)
    key: Any = field.key
    mm, vpn = key
    if entry is None or will_look_first(memory, field.ref, mm):
        return
    pte = pte_of(memory, mm, vpn)
    if pte is None or pte.kind != "present" or pte.page is not entry.page:
        yield "stale TLB entry", f"{field.ref} still has page {vpn} of {mm} in {entry.page}", field.ref
    elif entry.write and not pte.write:
        yield "gained permission", f"{field.ref} can still write to page {vpn} of {mm}", field.ref


def will_look_first(memory: Memory, cpu: Any, mm: Mm) -> bool:
    """Whether *cpu* is about to make flushes of *mm* that it lacks before it runs a thread of *mm*: it is lazy.

    (``switch_mm_irqs_off``, arch/x86/mm/tlb.c, v6.1.)
    """
    away = get(memory, cpu.is_lazy) or get(memory, cpu.irqs_off)
    return bool(away and get(memory, cpu.tlb_gen) < get(memory, mm.tlb_gen).number)


def _mappings(memory: Memory, mm: Mm, slots: Tables) -> Iterator[tuple[str, str, Struct]]:
    """Each PTE lies in a VMA and is found by a walk from its page; it is writable only if the page has no other."""
    huge = 0
    for vpn, pte in _entries(memory, mm, slots):
        huge += isinstance(pte, Pmd)
        if pte.kind not in {"present", "prot_none"}:
            continue
        if not any(_leads_to(memory, pte.page, vma, vpn) for vma in get(memory, mm.mmap)):
            yield "broken tree", f"{pte.page} is mapped at page {vpn} of {mm}, where no walk finds it", pte.page
        if pte.write and get(memory, pte.page._mapcount) > 0:
            yield "gained permission", f"page {vpn} of {mm} may be written, although {pte.page} is shared", pte.page
    if (spare := len(get(memory, mm.pmd_huge_pte))) != huge:
        yield "leak", f"{mm} has put by {times(spare, 'page table')} for {times(huge, 'huge page')}", mm


def _entries(memory: Memory, mm: Mm, slots: Tables) -> Iterator[tuple[int, Pte | Pmd]]:
    """Each entry of the page tables of *mm* with its page; a huge page has one, in the page directory."""
    for place in slots.get((mm, "pmd"), ()):
        table: Any = memory[place]
        first = cast("int", place.key) * 512
        if isinstance(table, Pmd):
            yield first, table
            continue
        for field in slots.get((table, "pte"), ()):
            if (entry := memory[field]) is not None:
                yield first + cast("int", field.key), entry


def _leads_to(memory: Memory, page: Page, vma: Vma, vpn: int) -> bool:
    """Whether a walk from *page* comes to *vpn* in *vma*: by what the page says of itself."""
    start, pgoff = get(memory, vma.vm_start), get(memory, vma.vm_pgoff)
    linked = (get(memory, avc.anon_vma) for avc in get(memory, vma.anon_vma_chain))
    inside = start <= vpn < get(memory, vma.vm_end) and get(memory, page.index) == vpn - start + pgoff
    return inside and get(memory, page.mapping) in linked


def _forgotten_ptes(memory: Memory, table: PageTable, slots: Tables) -> Iterator[tuple[str, str, Struct]]:
    """A page table is freed when no PTE is left in it."""
    for field in slots.get((table, "pte"), ()):
        if (pte := memory[field]) is not None:
            yield "leak", f"{table} was freed with a PTE of {pte.page} in it", table


def _page_counts(memory: Memory, page: Page) -> Iterator[tuple[str, str, Struct]]:
    mapped = get(memory, page.present_ptes)
    if (head := get(memory, page.first_page)) is not None:
        if (own := (get(memory, page._count), get(memory, page._mapcount) + 1, mapped)) != (0, 0, 0):
            yield "wrong refcount", f"{page} is a tail of {head} and has counts of its own: {own}", page
        return
    cached = get(memory, page.private) is not None
    if get(memory, page._mapcount) + 1 != mapped:
        yield "wrong mapcount", f"{page} has mapcount {get(memory, page._mapcount)} and {times(mapped, 'PTE')}", page
    if (count := get(memory, page._count)) > mapped + cached + get(memory, page.pins):
        yield "leak", f"{page} has {times(count, 'reference')} and {times(mapped, 'PTE')}", page
    elif count < mapped + cached:
        yield "wrong refcount", f"{page} has {times(count, 'reference')} and {times(mapped, 'PTE')}", page
    elif not count:
        yield "leak", f"{page} has no reference and was not freed", page


def _slot_counts(memory: Memory, slot: SwapSlot) -> Iterator[tuple[str, str, Struct]]:
    """A swap slot counts the PTEs that name it, and knows whether a page of the swap cache does."""
    count, named = get(memory, slot.swap_map), get(memory, slot.swap_ptes)
    if count & ~SWAP_HAS_CACHE != named:
        yield "wrong mapcount", f"{slot} counts {times(count & ~SWAP_HAS_CACHE, 'PTE')}, and has {named}", slot
    page = get(memory, slot.page_tree)
    if (page is not None) != bool(count & SWAP_HAS_CACHE):
        yield "leak", f"{slot} is claimed for the swap cache, which has no page of it", slot
    if page is not None and get(memory, page.private) is not slot:
        yield "leak", f"the swap cache has {page} for {slot}, which does not belong to it", page


def _lost_chains(memory: Memory, live: list[Struct]) -> Iterator[tuple[str, str, Struct]]:
    linked = {avc for ref in live if isinstance(ref, Vma) for avc in get(memory, ref.anon_vma_chain)}
    for ref in live:
        if isinstance(ref, AnonVmaChain) and ref not in linked:
            yield "leak", f"{ref} belongs to no VMA", ref


def _unreachable(memory: Memory, live: list[Struct], slots: Tables) -> Iterator[tuple[str, str, Struct]]:
    """A VMA is in the list of its address space, a page table in the page directory of one, both of live ones."""
    mms = [ref for ref in live if isinstance(ref, Mm)]
    tables = {it for mm in mms for it in get(memory, mm.pmd_huge_pte)}
    tables |= {memory[at] for mm in mms for at in slots.get((mm, "pmd"), ())}
    for ref in live:
        if isinstance(ref, Vma) and not any(ref in get(memory, mm.mmap) for mm in mms):
            yield "leak", f"{ref} is in no address space", ref
        if isinstance(ref, PageTable) and ref not in tables:
            yield "leak", f"{ref} is in no address space", ref


def _anon_vma_counts(memory: Memory, anon_vma: AnonVma, live: list[Struct]) -> Iterator[tuple[str, str, Struct]]:
    """One reference for the tree, if it holds anything, and a root has one more for each member of its family."""
    family = [it for it in live if isinstance(it, AnonVma) and get(memory, it.root) is anon_vma]
    members = len(family) - (anon_vma in family)
    linked = get(memory, anon_vma.rb_root) is not None
    if (count := get(memory, anon_vma.refcount)) != linked + members:
        users = f"{times(members, 'member')} and {'a' if linked else 'no'} tree"
        yield "wrong refcount", f"{anon_vma} has {times(count, 'reference')}, {users}", anon_vma
    elif not count:
        yield "leak", f"{anon_vma} has no reference and was not freed", anon_vma


def _broken_tree(memory: Memory, anon_vma: AnonVma, live: list[Struct]) -> Iterator[tuple[str, str, Struct]]:
    """The nodes of the tree, in order, are the links that name the anon_vma."""
    nodes = list(nodes_of(memory, anon_vma))
    links = {it for it in live if isinstance(it, AnonVmaChain) and get(memory, it.anon_vma) is anon_vma}
    for it in links.symmetric_difference(nodes):
        yield "broken tree", f"{it} is {'not ' if it in links else ''}in the tree of {anon_vma}", it
    starts = [get(memory, get(memory, it.vma).vm_pgoff) for it in nodes]
    if starts != sorted(starts) or len(nodes) != len(set(nodes)):
        yield "broken tree", f"the tree of {anon_vma} is out of order", anon_vma


def nodes_of(memory: Memory, anon_vma: AnonVma) -> Iterator[AnonVmaChain]:
    """The nodes of an anon_vma's tree in the order in which a walk meets them; not more than there can be."""
    todo: list[tuple[Any, bool]] = [(get(memory, anon_vma.rb_root), False)]
    seen: set[Any] = set()
    while todo:
        node, below = todo.pop()
        if node is None:
            continue
        if below:
            yield node
        elif node not in seen:
            seen.add(node)
            todo += [(get(memory, node.rb_right), False), (node, True), (get(memory, node.rb_left), False)]
