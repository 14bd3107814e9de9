"""VMAs: finding one, growing a stack, changing bounds, splitting and merging: mm/mmap.c (v3.7).

The VMAs of an mm are one tuple in order of address (``mm.mmap``); the kernel's red-black tree of them, its
cache of the last one found and the pointers to a VMA's neighbours are read from that.
"""

from __future__ import annotations

from errno import ENOMEM

from sim.context import Context
from sim.ghosts import forget
from sim.kernel import huge_memory, memory, rmap
from sim.kernel.interval_tree import anon_vma_interval_tree_insert, anon_vma_interval_tree_remove
from sim.ops import Alloc, Free, Kernel, Point
from sim.structs import VM_WRITE, AnonVma, Mm, Vma
from sim.sync import down_write, up_write

#: Where user addresses end, in pages.  arch/x86/include/asm/processor.h:889 (v3.7)
TASK_SIZE = 1 << 35


def find_vma(k: Context, mm: Mm, address: int) -> Kernel:
    """The first VMA that ends after *address*, or None.  It may also begin after it.  mm/mmap.c:1627 (v3.7)

    Caller holds mmap_sem, to read at least.
    """
    vmas = yield mm.mmap
    at = 0
    while at < len(vmas):
        vm_end = yield vmas[at].vm_end
        if vm_end > address:
            return vmas[at]
        at += 1
    return None


# --- growing a stack -------------------------------------------------------------------------------------


def expand_stack(k: Context, vma: Vma, address: int) -> Kernel:
    """Let the stack *vma* reach down to *address*.  Returns 0 or -ENOMEM.  mm/mmap.c:1873 (v3.7)

    Caller holds mmap_sem, to read at least.
    """
    error = yield from expand_downwards(k, vma, address)
    return error


def expand_downwards(k: Context, vma: Vma, address: int) -> Kernel:
    """Move vm_start down to *address*, unless somebody already has.  Returns 0 or -ENOMEM.  mm/mmap.c:1800 (v3.7)

    Caller holds mmap_sem, and in a fault only to read: other faults and every walker of the same process go on.
    Takes the root anon_vma's lock to write.  That lock alone protects the two stores and the tree: in between
    the VMA is in no tree, and ``vm_start`` without ``vm_pgoff`` maps every page of it to a wrong address.
    Does not check limits (acct_stack_growth) or that there is room; the caller found no VMA in the way.
    """
    yield from rmap.anon_vma_prepare(k, vma)
    anon_vma = yield vma.anon_vma
    yield from k.anon_vma_lock_write(anon_vma)
    error = 0
    vm_start = yield vma.vm_start
    if address < vm_start:
        grow = vm_start - address
        vm_pgoff = yield vma.vm_pgoff
        if grow <= vm_pgoff:
            yield from anon_vma_interval_tree_pre_update_vma(k, vma)
            yield vma.vm_start.set(address)
            yield vma.vm_pgoff.set(vm_pgoff - grow)
            yield from anon_vma_interval_tree_post_update_vma(k, vma)
        else:
            error = -ENOMEM
    yield from k.anon_vma_unlock_write(anon_vma)
    return error


def anon_vma_interval_tree_pre_update_vma(k: Context, vma: Vma) -> Kernel:
    """Take *vma* out of every tree that it is in, so that its bounds may change.  mm/mmap.c:370 (v3.7)

    Caller holds mmap_sem and the root anon_vma's lock to write.  Until it is back, a walk does not find it.
    """
    chain = yield vma.anon_vma_chain
    at = 0
    while at < len(chain):
        anon_vma = yield chain[at].anon_vma
        yield from anon_vma_interval_tree_remove(k, chain[at], anon_vma)
        at += 1


def anon_vma_interval_tree_post_update_vma(k: Context, vma: Vma) -> Kernel:
    """Put *vma* back into its trees, under its new bounds.  mm/mmap.c:379 (v3.7)

    Caller holds mmap_sem and the root anon_vma's lock to write.
    """
    chain = yield vma.anon_vma_chain
    at = 0
    while at < len(chain):
        anon_vma = yield chain[at].anon_vma
        yield from anon_vma_interval_tree_insert(k, chain[at], anon_vma)
        at += 1


# --- changing the bounds of VMAs -------------------------------------------------------------------------


def vma_adjust(k: Context, vma: Vma, start: int, end: int, pgoff: int, insert: Vma | None) -> Kernel:
    """Give *vma* other bounds, and let its neighbour give or take; with *insert*, put that piece beside it.

    Caller holds mmap_sem to write, or is the only one to know the mm.  If *vma* grows over the next one that shrinks
    or vanishes (and perhaps the one after, too); if it shrinks without *insert* the next one takes what it leaves.
    Takes the root anon_vma's lock to write, for *vma* and its neighbour at once.  A neighbour that has vanished is
    unlinked from its trees after that lock was dropped, which takes it again.  Returns 0; the kernel can run out of
    memory.  mm/mmap.c:518 (v3.7)
    """
    _, after = yield from neighbours(k, vma)
    vanish, shift = 0, 0
    if after is not None and insert is None:
        vanish, shift = yield from _what_next_becomes(k, vma, after, end)
    while True:
        if vanish:
            end = yield after.vm_end
        if vanish or shift:
            yield from _import_anon_vma(k, vma, after, shift)
        gone, shifted = (after if vanish else None), (after if shift else None)
        yield from _change_bounds(k, vma, start, end, pgoff, insert, gone, shifted, shift)
        if gone is not None:
            yield from _free_swallowed(k, vma, gone)
        if vanish < 2:
            return 0
        vanish = 1
        _, after = yield from neighbours(k, vma)


def _what_next_becomes(k: Context, vma: Vma, after: Vma, end: int) -> Kernel:
    """What the new *end* of *vma* does to the next VMA, *after*.  (Part of vma_adjust.)

    Returns how many VMAs vanish (2 if *end* lies beyond *after*), and by how many pages *after* begins later.
    """
    next_end = yield after.vm_end
    if end >= next_end:
        return 1 + (end > next_end), 0
    next_start = yield after.vm_start
    if end > next_start:
        return 0, end - next_start
    vm_end = yield vma.vm_end
    return 0, min(0, end - vm_end)


def _import_anon_vma(k: Context, vma: Vma, after: Vma, adjust_next: int) -> Kernel:
    """See to it that who gains pages has an anon_vma if who loses them has one.  (Part of vma_adjust.)"""
    exporter, importer = (vma, after) if adjust_next < 0 else (after, vma)
    anon_vma = yield exporter.anon_vma
    if anon_vma is None:
        return
    already = yield importer.anon_vma
    if already is None:
        yield from rmap.anon_vma_clone(k, importer, exporter)
        yield importer.anon_vma.set(anon_vma)


def _change_bounds(
    k: Context,
    vma: Vma,
    start: int,
    end: int,
    pgoff: int,
    insert: Vma | None,
    gone: Vma | None,
    shifted: Vma | None,
    shift: int,
) -> Kernel:
    """Take *vma* out of its trees, store its bounds, put it back.  (The middle of vma_adjust.)

    *shifted* is the next VMA if that begins *shift* pages later; *gone*, if it vanishes.  Between the first erasure and
    the last insertion *vma* is in some of its trees or in none, and its three fields belong to two moments.
    """
    mm = yield vma.vm_mm
    anon_vma = yield vma.anon_vma
    if anon_vma is None and shifted is not None:
        anon_vma = yield shifted.anon_vma
    if anon_vma is not None:
        yield from k.anon_vma_lock_write(anon_vma)
        yield from anon_vma_interval_tree_pre_update_vma(k, vma)
        if shifted is not None:
            yield from anon_vma_interval_tree_pre_update_vma(k, shifted)
    yield vma.vm_start.set(start)
    yield vma.vm_end.set(end)
    yield vma.vm_pgoff.set(pgoff)
    if shifted is not None:
        yield from _shift_start(k, shifted, shift)
    if gone is not None:
        yield from __vma_unlink(k, mm, gone)
    elif insert is not None:
        yield from __insert_vm_struct(k, mm, insert)
    if anon_vma is not None:
        yield from anon_vma_interval_tree_post_update_vma(k, vma)
        if shifted is not None:
            yield from anon_vma_interval_tree_post_update_vma(k, shifted)
        yield from k.anon_vma_unlock_write(anon_vma)


def _shift_start(k: Context, vma: Vma, pages: int) -> Kernel:
    """Let *vma* begin *pages* later, in two stores; its end stays.  (Part of vma_adjust.)"""
    vm_start = yield vma.vm_start
    yield vma.vm_start.set(vm_start + pages)
    vm_pgoff = yield vma.vm_pgoff
    yield vma.vm_pgoff.set(vm_pgoff + pages)


def _free_swallowed(k: Context, vma: Vma, gone: Vma) -> Kernel:
    """Unlink *gone*, which *vma* now covers, and free it: without the anon_vma lock.  (The end of vma_adjust.)"""
    anon_vma = yield gone.anon_vma
    if anon_vma is not None:
        yield from rmap.anon_vma_merge(k, vma, gone)
    yield Free(gone)


def split_vma(k: Context, mm: Mm, vma: Vma, addr: int, new_below: bool) -> Kernel:
    """Cut *vma* in two at *addr*; the new VMA is the lower part, or the upper one.  mm/mmap.c:2054 (v3.7)

    Caller holds mmap_sem to write.  Does not count VMAs.
    """
    err = yield from __split_vma(k, mm, vma, addr, new_below)
    return err


def __split_vma(k: Context, mm: Mm, vma: Vma, addr: int, new_below: bool) -> Kernel:
    """Make a VMA for one part of *vma*, link it, then shrink *vma* to the other part.  mm/mmap.c:1983 (v3.7)

    Caller holds mmap_sem to write.  The new part is linked to all anon_vmas before the old one leaves its trees: until
    then both stand for those pages, and a walk comes to their PTEs twice.  Pages of the part that stays in *vma* are
    found by no walk while *vma* is out of its trees.
    """
    vm_start = yield vma.vm_start
    vm_end = yield vma.vm_end
    vm_pgoff = yield vma.vm_pgoff
    middle = vm_pgoff + addr - vm_start
    bounds = (vm_start, addr, vm_pgoff) if new_below else (addr, vm_end, middle)
    new = yield from _copy_of(k, vma, *bounds)
    yield from rmap.anon_vma_clone(k, new, vma)
    yield from huge_memory.__vma_adjust_trans_huge(k, mm, vm_start, vm_end, addr)
    if new_below:
        err = yield from vma_adjust(k, vma, addr, vm_end, middle, new)
    else:
        err = yield from vma_adjust(k, vma, vm_start, addr, vm_pgoff, new)
    return err


def _copy_of(k: Context, vma: Vma, start: int, end: int, pgoff: int) -> Kernel:
    """A VMA like *vma* with other bounds, in no tree and no list yet.  Caller holds mmap_sem to write."""
    mm = yield vma.vm_mm
    vm_flags = yield vma.vm_flags
    anon_vma = yield vma.anon_vma
    bounds = (("vm_start", start), ("vm_end", end), ("vm_pgoff", pgoff))
    new = yield Alloc(Vma, (("vm_mm", mm), *bounds, ("vm_flags", vm_flags), ("anon_vma", anon_vma)))
    return new


def vma_link(k: Context, mm: Mm, vma: Vma) -> Kernel:
    """Make *vma* a VMA of *mm*.  Caller holds mmap_sem to write.  mm/mmap.c:459 (v3.7)"""
    yield from __vma_link(k, mm, vma)


def __insert_vm_struct(k: Context, mm: Mm, vma: Vma) -> Kernel:
    """Make a piece that was split off a VMA of *mm*.  Caller holds mmap_sem to write.  mm/mmap.c:485 (v3.7)"""
    yield from __vma_link(k, mm, vma)


def __vma_link(k: Context, mm: Mm, vma: Vma) -> Kernel:
    """Put *vma* into its place among the VMAs of *mm*.  Caller holds mmap_sem to write.  mm/mmap.c:451 (v3.7)"""
    vmas = yield mm.mmap
    vm_start = yield vma.vm_start
    at = 0
    while at < len(vmas):
        start = yield vmas[at].vm_start
        if start > vm_start:
            break
        at += 1
    yield mm.mmap.set((*vmas[:at], vma, *vmas[at:]))


def __vma_unlink(k: Context, mm: Mm, vma: Vma) -> Kernel:
    """Take *vma* out of the VMAs of *mm*.  Caller holds mmap_sem to write.  mm/mmap.c:498 (v3.7)"""
    vmas = yield mm.mmap
    yield mm.mmap.set(tuple(it for it in vmas if it is not vma))


# --- merging VMAs ----------------------------------------------------------------------------------------


def vma_merge(
    k: Context,
    mm: Mm,
    prev: Vma | None,
    addr: int,
    end: int,
    vm_flags: int,
    anon_vma: AnonVma | None,
    pgoff: int,
) -> Kernel:
    """Let a neighbour take over [*addr*, *end*), or both; return who has it, or None.  mm/mmap.c:797 (v3.7)

    Caller holds mmap_sem to write.  *prev* is the last VMA that begins before *addr*.  The range is not mapped
    (mremap), or lies at an edge of a VMA whose *vm_flags* are about to change (mprotect).
    """
    area, after = yield from _followers(k, mm, prev, end)
    fits = False
    if after is not None:
        fits = yield from _fits_before(k, after, end, vm_flags, anon_vma, pgoff + end - addr)
    if prev is not None:
        prev_start, prev_end, prev_pgoff = yield from _bounds(k, prev)
        if prev_end == addr:
            can = yield from can_vma_merge_after(k, prev, vm_flags, anon_vma, pgoff)
            if can:
                if fits:
                    end = yield from _as_far_as_both(k, prev, after, end)
                yield from vma_adjust(k, prev, prev_start, end, prev_pgoff, None)
                return prev
        if fits and addr < prev_end:
            yield from vma_adjust(k, prev, prev_start, addr, prev_pgoff, None)
            return area
    if fits:
        _, next_end, next_pgoff = yield from _bounds(k, after)
        yield from vma_adjust(k, area, addr, next_end, next_pgoff - (end - addr), None)
        return area
    return None


def _followers(k: Context, mm: Mm, prev: Vma | None, end: int) -> Kernel:
    """The VMA after *prev*, and the one that could be merged with a range up to *end*.  (Part of vma_merge.)"""
    vmas = yield mm.mmap
    vmas = (*vmas[0 if prev is None else vmas.index(prev) + 1 :], None, None)
    area = after = vmas[0]
    if area is not None:
        area_end = yield area.vm_end
        if area_end == end:
            after = vmas[1]
    return area, after


def _fits_before(k: Context, after: Vma, end: int, vm_flags: int, anon_vma: AnonVma | None, pgoff: int) -> Kernel:
    """Whether *after* begins at *end* and may begin earlier.  (Part of vma_merge.)"""
    start = yield after.vm_start
    if start != end:
        return False
    can = yield from can_vma_merge_before(k, after, vm_flags, anon_vma, pgoff)
    return can


def _as_far_as_both(k: Context, prev: Vma, after: Vma, end: int) -> Kernel:
    """The end of *after*, if it may become one VMA with *prev*; else *end*.  (Part of vma_merge.)"""
    first = yield prev.anon_vma
    second = yield after.anon_vma
    both = yield from is_mergeable_anon_vma(k, first, second, None)
    if both:
        end = yield after.vm_end
    return end


def _bounds(k: Context, vma: Vma) -> Kernel:
    """vm_start, vm_end and vm_pgoff of *vma*.  Caller holds mmap_sem, to read at least."""
    vm_start = yield vma.vm_start
    vm_end = yield vma.vm_end
    vm_pgoff = yield vma.vm_pgoff
    return vm_start, vm_end, vm_pgoff


def can_vma_merge_before(k: Context, vma: Vma, vm_flags: int, anon_vma: AnonVma | None, vm_pgoff: int) -> Kernel:
    """Whether pages that end before *vma*, and before offset *vm_pgoff*, may become its first ones.

    Caller holds mmap_sem.  mm/mmap.c:736 (v3.7)
    """
    can = yield from _may_merge(k, vma, vm_flags, anon_vma)
    start = yield vma.vm_pgoff
    return can and start == vm_pgoff


def can_vma_merge_after(k: Context, vma: Vma, vm_flags: int, anon_vma: AnonVma | None, vm_pgoff: int) -> Kernel:
    """Whether pages that begin after *vma*, at offset *vm_pgoff*, may become its last ones.

    Caller holds mmap_sem.  mm/mmap.c:755 (v3.7)
    """
    can = yield from _may_merge(k, vma, vm_flags, anon_vma)
    vm_start, vm_end, start = yield from _bounds(k, vma)
    return can and start + vm_end - vm_start == vm_pgoff


def _may_merge(k: Context, vma: Vma, vm_flags: int, anon_vma: AnonVma | None) -> Kernel:
    """What both of the above ask first: is_mergeable_vma (mm/mmap.c:698) and is_mergeable_anon_vma."""
    flags = yield vma.vm_flags
    if flags != vm_flags:
        return False
    its = yield vma.anon_vma
    can = yield from is_mergeable_anon_vma(k, anon_vma, its, vma)
    return can


def is_mergeable_anon_vma(k: Context, first: AnonVma | None, second: AnonVma | None, vma: Vma | None) -> Kernel:
    """Whether VMAs with these anon_vmas may become one: the same, or only one, unless *vma* was forked.

    Caller holds mmap_sem.  mm/mmap.c:710 (v3.7)
    """
    if first is None or second is None:
        if vma is None:
            return True
        chain = yield vma.anon_vma_chain
        if len(chain) == 1:
            return True
    return first is second


def copy_vma(k: Context, vma: Vma, addr: int, length: int, pgoff: int) -> Kernel:
    """Make room at *addr* for *length* pages of *vma*, from offset *pgoff* on; PTEs are not moved yet.

    Caller holds mmap_sem to write, and nothing is mapped there.  Returns *vma* (or what it was merged into), the VMA
    at *addr*, and whether the PTEs must be moved under the anon_vma lock.  A new VMA is linked after the old one:
    among equal offsets it goes to the right, and a walk comes to it later.  A VMA that was there before and has grown
    need not stand behind the old one.  mm/mmap.c:2375 (v3.7)
    """
    mm = yield vma.vm_mm
    vma_start = yield vma.vm_start
    vm_flags = yield vma.vm_flags
    anon_vma = yield vma.anon_vma
    if anon_vma is None:
        pgoff = addr
    prev = yield from _last_before(k, mm, addr)
    new_vma = yield from vma_merge(k, mm, prev, addr, addr + length, vm_flags, anon_vma, pgoff)
    if new_vma is None:
        new_vma = yield from _copy_of(k, vma, addr, addr + length, pgoff)
        yield from rmap.anon_vma_clone(k, new_vma, vma)
        yield from vma_link(k, mm, new_vma)
        return vma, new_vma, False
    new_start, new_end, new_pgoff = yield from _bounds(k, new_vma)
    if new_start <= vma_start < new_end:  # only if nobody has touched it: then it could be given any offset
        vma = new_vma
    old_pgoff = yield vma.vm_pgoff
    return vma, new_vma, new_pgoff <= old_pgoff


def _last_before(k: Context, mm: Mm, addr: int) -> Kernel:
    """The last VMA that begins before *addr*, or None: what ``find_vma_links`` finds.  (Part of copy_vma.)"""
    vmas = yield mm.mmap
    at = len(vmas)
    while at:
        at -= 1
        vm_start = yield vmas[at].vm_start
        if vm_start < addr:
            return vmas[at]
    return None


# --- sharing a neighbour's anon_vma ----------------------------------------------------------------------


def find_mergeable_anon_vma(k: Context, vma: Vma) -> Kernel:
    """The anon_vma of the next or previous VMA, if *vma* could be merged with that one; or None.

    With one anon_vma they can become one VMA again later.  Caller holds mmap_sem, to read at least.
    mm/mmap.c:935 (v3.7)
    """
    before, after = yield from neighbours(k, vma)
    if after is not None:
        anon_vma = yield from reusable_anon_vma(k, after, vma, after)
        if anon_vma is not None:
            return anon_vma
    if before is not None:
        anon_vma = yield from reusable_anon_vma(k, before, before, vma)
        return anon_vma
    return None


def reusable_anon_vma(k: Context, old: Vma, a: Vma, b: Vma) -> Kernel:
    """The anon_vma of *old*, one of the neighbours *a* < *b*, if the other may use it too; or None.

    A chain of more than one link tells of a fork: then it is left alone.  Another fault may be giving *old* its
    anon_vma at this moment, for the caller holds mmap_sem only to read.  mm/mmap.c:916 (v3.7)
    """
    compatible = yield from anon_vma_compatible(k, a, b)
    if not compatible:
        return None
    anon_vma: AnonVma | None = yield old.anon_vma
    chain = yield old.anon_vma_chain
    return anon_vma if len(chain) == 1 else None


def anon_vma_compatible(k: Context, a: Vma, b: Vma) -> Kernel:
    """Whether *b* begins where *a* ends, in address and in page offset, and may do the same.  mm/mmap.c:885 (v3.7)

    Caller holds mmap_sem, to read at least.
    """
    a_end = yield a.vm_end
    b_start = yield b.vm_start
    if a_end != b_start:
        return False
    a_flags = yield a.vm_flags
    b_flags = yield b.vm_flags
    if (a_flags ^ b_flags) & ~VM_WRITE:
        return False
    a_start = yield a.vm_start
    a_pgoff = yield a.vm_pgoff
    b_pgoff = yield b.vm_pgoff
    return bool(b_pgoff == a_pgoff + b_start - a_start)


def neighbours(k: Context, vma: Vma) -> Kernel:
    """The VMAs before and after *vma*, or None: the kernel's ``vm_prev`` and ``vm_next``.

    Caller holds mmap_sem, to read at least.  include/linux/mm_types.h:233 (v3.7)
    """
    mm = yield vma.vm_mm
    vmas = yield mm.mmap
    at = vmas.index(vma)
    before = vmas[at - 1] if at > 0 else None
    after = vmas[at + 1] if at + 1 < len(vmas) else None
    return before, after


# --- unmapping -------------------------------------------------------------------------------------------


def vm_munmap(k: Context, start: int, length: int) -> Kernel:
    """Unmap *length* pages of the current address space from *start* on.  Takes mmap_sem to write.

    mm/mmap.c:2150 (v3.7)
    """
    yield from down_write(k.mm.mmap_sem)
    ret = yield from do_munmap(k, k.mm, start, length)
    yield from up_write(k.mm.mmap_sem)
    return ret


def sys_munmap(k: Context, start: int, length: int) -> Kernel:
    """``munmap(2)``.  mm/mmap.c:2162 (v3.7)"""
    yield Point("syscall")
    ret = yield from vm_munmap(k, start, length)
    return ret


def do_munmap(k: Context, mm: Mm, start: int, length: int) -> Kernel:
    """Take the VMAs of [*start*, *start* + *length*) out of *mm*, with their pages and page tables.

    Caller holds mmap_sem to write.  A VMA that is partly outside is split first.  mm/mmap.c:2068 (v3.7)
    """
    end = start + length
    vma = yield from find_vma(k, mm, start)
    if vma is None:
        return 0
    vm_start = yield vma.vm_start
    if vm_start >= end:
        return 0
    if start > vm_start:
        yield from __split_vma(k, mm, vma, start, False)
        _, vma = yield from neighbours(k, vma)
    last = yield from find_vma(k, mm, end)
    if last is not None:
        last_start = yield last.vm_start
        if end > last_start:
            yield from __split_vma(k, mm, last, end, True)
            if last is vma:
                vma, _ = yield from neighbours(k, vma)
    prev, gone, following = yield from detach_vmas_to_be_unmapped(k, mm, vma, end)
    yield from unmap_region(k, mm, gone, prev, following, start, end)
    yield from remove_vma_list(k, gone)
    return 0


def detach_vmas_to_be_unmapped(k: Context, mm: Mm, vma: Vma, end: int) -> Kernel:
    """Take *vma* and those after it that begin before *end* out of the list of VMAs.

    Caller holds mmap_sem to write.  Returns the VMA before them, the VMAs, and the VMA after them.
    mm/mmap.c:1952 (v3.7)
    """
    vmas = yield mm.mmap
    at = stop = vmas.index(vma)
    while stop < len(vmas):
        vm_start = yield vmas[stop].vm_start
        if vm_start >= end:
            break
        stop += 1
    yield mm.mmap.set((*vmas[:at], *vmas[stop:]))
    prev = vmas[at - 1] if at else None
    return prev, vmas[at:stop], vmas[stop] if stop < len(vmas) else None


def unmap_region(
    k: Context, mm: Mm, vmas: tuple[Vma, ...], prev: Vma | None, following: Vma | None, start: int, end: int
) -> Kernel:
    """Unmap the pages of *vmas*, then unlink them, then free their page tables; flush, and only then free.

    Caller holds mmap_sem to write, and has taken the VMAs out of the list.  mm/mmap.c:1931 (v3.7)
    """
    tlb = memory.tlb_gather_mmu(mm, False)
    tlb = yield from memory.unmap_vmas(k, tlb, vmas, start, end)
    floor, ceiling = 0, 0
    if prev is not None:
        floor = yield prev.vm_end
    if following is not None:
        ceiling = yield following.vm_start
    tlb = yield from memory.free_pgtables(k, tlb, vmas, floor, ceiling)
    yield from memory.tlb_finish_mmu(k, tlb, start, end)
    yield from forget(mm, start, end)


def remove_vma_list(k: Context, vmas: tuple[Vma, ...]) -> Kernel:
    """Free VMAs that nobody can find any more.  mm/mmap.c:1908 (v3.7)"""
    while vmas:
        vma, vmas = vmas[0], vmas[1:]
        yield from remove_vma(k, vma)


def remove_vma(k: Context, vma: Vma) -> Kernel:
    """Free a VMA outright: it must be out of its mm and of every tree.  mm/mmap.c:221 (v3.7)"""
    yield Free(vma)


def exit_mmap(k: Context, mm: Mm) -> Kernel:
    """Take an address space down.  Nobody uses it any more, so no mmap_sem is held; relatives still walk its trees.

    mm/mmap.c:2287 (v3.7)
    """
    vmas = yield mm.mmap
    if not vmas:
        return
    tlb = memory.tlb_gather_mmu(mm, True)
    tlb = yield from memory.unmap_vmas(k, tlb, vmas, 0, TASK_SIZE)
    tlb = yield from memory.free_pgtables(k, tlb, vmas, 0, 0)
    yield from memory.tlb_finish_mmu(k, tlb, 0, TASK_SIZE)
    yield from remove_vma_list(k, vmas)
