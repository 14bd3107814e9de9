"""From a page to every PTE that names it.  mm/rmap.c

The way: ``page->mapping`` names the page's anon_vma; the anon_vma's interval tree holds one link (AVC) for each VMA
that may map the page; VMA and page offset give the address; the page table at that address has the PTE, or not.
Two walks go this way for every page that moves: the unmap walk (``try_to_unmap_anon``) puts migration entries in,
the remap walk (``rmap_walk_anon``) takes them out again.  How each is locked is for the variant to say.

In this file: anon_vmas and their links, from a page to its anon_vma, from a VMA to the PTE, the unmap walk, the remap
walk, and the account of PTEs that come and go.

Whether a page is anonymous (bit 0 of the pointer in the kernel) needs no bit here: all pages are, and ``mapping`` is
the AnonVma or None.
"""

from __future__ import annotations

from collections.abc import Hashable

from sim.context import Context
from sim.kernel import mlock, swapfile
from sim.kernel.interval_tree import (
    anon_vma_interval_tree_insert,
    anon_vma_interval_tree_iter_first,
    anon_vma_interval_tree_iter_next,
    anon_vma_interval_tree_remove,
)
from sim.kernel.pagemap import linear_page_index
from sim.kernel.pgtable import pmd_offset, pte_offset_map, pte_present
from sim.kernel.swap import lru_cache_add_lru, put_page
from sim.kernel.swapops import make_migration_entry
from sim.locks import holders
from sim.ops import Alloc, Bug, Free, Kernel, KernelFunction, Point
from sim.structs import (
    VM_GROWSDOWN,
    VM_LOCKED,
    VM_STACK_INCOMPLETE_SETUP,
    AnonVma,
    AnonVmaChain,
    Mm,
    Page,
    Pmd,
    Pte,
    Vma,
)
from sim.sync import down_read_trylock, rcu_read_lock, rcu_read_unlock, spin_lock, spin_unlock, up_read

#: May an allocation sleep, and go looking for memory to free?  include/linux/gfp.h:103 (v3.7)
GFP_NOWAIT, GFP_KERNEL = "nowait", "kernel"

#: What a visit to one PTE says about going on.  include/linux/rmap.h:260 (v3.7)
SWAP_SUCCESS, SWAP_AGAIN, SWAP_FAIL, SWAP_MLOCK = range(4)

#: What ``try_to_unmap`` is to do, and what it may overlook.  include/linux/rmap.h:74 (v3.7)
TTU_UNMAP, TTU_MIGRATION, TTU_IGNORE_MLOCK, TTU_IGNORE_ACCESS = 0, 1, 1 << 8, 1 << 9


def anon_vma_alloc(k: Context) -> Kernel:
    """A new anon_vma that is its own root, with one reference for its tree.  mm/rmap.c:68 (v3.7)"""
    anon_vma = yield Alloc(AnonVma, (("refcount", 1),))
    yield anon_vma.root.set(anon_vma)
    return anon_vma


def anon_vma_free(k: Context, anon_vma: AnonVma) -> Kernel:
    """Free an anon_vma that nobody refers to.

    Who got its lock in ``page_lock_anon_vma`` by trylock has no reference, so if the root's lock is held, wait until
    that one is through by taking it and giving it back.  (A variant uses one of the two locks; the other is free.)
    mm/rmap.c:85 (v3.7)
    """
    root = yield anon_vma.root
    mutex = yield root.mutex
    rwsem = yield root.rwsem
    if holders(mutex) or holders(rwsem):
        yield from k.anon_vma_lock_write(anon_vma)
        yield from k.anon_vma_unlock_write(anon_vma)
    yield Free(anon_vma)


def anon_vma_chain_alloc(k: Context, gfp: str) -> Kernel:
    """A new link, not yet linked; or None, if there is no memory and *gfp* does not allow to wait for some.

    There always is memory here, unless a world replaces this function.  mm/rmap.c:114 (v3.7)
    """
    avc = yield Alloc(AnonVmaChain)
    return avc


def anon_vma_chain_free(k: Context, avc: AnonVmaChain) -> Kernel:
    """Free a link.  No walker may still see it: unlike an anon_vma it is freed outright.  mm/rmap.c:119 (v3.7)"""
    yield Free(avc)


def anon_vma_chain_link(k: Context, vma: Vma, avc: AnonVmaChain, anon_vma: AnonVma) -> Kernel:
    """Link *vma* and *anon_vma* through *avc*: newest first in the VMA's chain, by offset in the anon_vma's tree.

    Caller holds the anon_vma lock to change the tree, and mmap_sem (with page_table_lock if only for reading).
    mm/rmap.c:124 (v3.7)
    """
    yield avc.vma.set(vma)
    yield avc.anon_vma.set(anon_vma)
    chain = yield vma.anon_vma_chain
    yield vma.anon_vma_chain.set((avc, *chain))
    yield from anon_vma_interval_tree_insert(k, avc, anon_vma)


def anon_vma_prepare(k: Context, vma: Vma) -> Kernel:
    """See to it that *vma* has an anon_vma for its new pages: a neighbour's if that will do, or a new one.

    Caller holds mmap_sem for reading only: two threads may come here for one VMA, and the second gives back what it
    has allocated.  Takes the anon_vma lock to change the tree, and page_table_lock inside it.
    mm/rmap.c:161 (v3.7)
    """
    anon_vma = yield vma.anon_vma
    if anon_vma is not None:
        return 0
    mm = yield vma.vm_mm
    avc = yield from anon_vma_chain_alloc(k, GFP_KERNEL)
    anon_vma = yield from mmap.find_mergeable_anon_vma(k, vma)
    allocated = None
    if anon_vma is None:
        anon_vma = yield from anon_vma_alloc(k)
        allocated = anon_vma

    yield from k.anon_vma_lock_write(anon_vma)
    yield from spin_lock(mm.page_table_lock)
    already = yield vma.anon_vma
    if already is None:
        yield vma.anon_vma.set(anon_vma)
        yield from anon_vma_chain_link(k, vma, avc, anon_vma)
    yield from spin_unlock(mm.page_table_lock)
    yield from k.anon_vma_unlock_write(anon_vma)

    if already is not None:
        if allocated is not None:
            yield from put_anon_vma(k, allocated)
        yield from anon_vma_chain_free(k, avc)
    return 0


def lock_anon_vma_root(k: Context, root: AnonVma | None, anon_vma: AnonVma) -> Kernel:
    """Exchange the lock of *root*, which the caller holds (or None), for that of *anon_vma*'s root; return that root.

    All anon_vmas of a VMA have one root, so the lock is taken once and kept.  mm/rmap.c:217 (v3.7)
    """
    new_root: AnonVma = yield anon_vma.root
    if new_root is not root:
        if root is not None:
            yield Bug("kernel bug", f"{anon_vma} and {root} are links of one VMA and have two roots", (anon_vma, root))
        yield from k.anon_vma_lock_write(new_root)
    return new_root


def unlock_anon_vma_root(k: Context, root: AnonVma | None) -> Kernel:
    """Give back what ``lock_anon_vma_root`` took, if it took anything.  mm/rmap.c:229 (v3.7)"""
    if root is not None:
        yield from k.anon_vma_unlock_write(root)


def anon_vma_clone(k: Context, dst: Vma, src: Vma) -> Kernel:
    """Link *dst* to every anon_vma that *src* is linked to, the oldest first.

    Caller holds mmap_sem of both to write, and nobody else knows *dst* yet.  Takes the root anon_vma's lock.  A link
    is allocated with that lock held, so it must not wait for memory: whoever frees some may walk this very tree.
    If there is none the lock is dropped first.  The kernel can still fail then (-ENOMEM); here it cannot.
    mm/rmap.c:239 (v3.7)
    """
    root = None
    chain = yield src.anon_vma_chain
    while chain:
        chain, pavc = chain[:-1], chain[-1]
        avc = yield from anon_vma_chain_alloc(k, GFP_NOWAIT)
        if avc is None:
            yield from unlock_anon_vma_root(k, root)
            root = None
            avc = yield from anon_vma_chain_alloc(k, GFP_KERNEL)
        anon_vma = yield pavc.anon_vma
        root = yield from lock_anon_vma_root(k, root, anon_vma)
        yield from anon_vma_chain_link(k, dst, avc, anon_vma)
    yield from unlock_anon_vma_root(k, root)
    return 0


def anon_vma_fork(k: Context, vma: Vma, pvma: Vma) -> Kernel:
    """Link *vma*, a child's copy of *pvma*, to all that *pvma* is linked to, and to an anon_vma of its own.

    Caller holds mmap_sem of both to write, and has not copied a PTE yet: a walk that finds an entry in the child must
    also find the child.  Takes the root anon_vma's lock, twice.  The new anon_vma pins its root, in which the lock is;
    it is where pages go that the child copies or touches first.  mm/rmap.c:272 (v3.7)
    """
    parents = yield pvma.anon_vma
    if parents is None:
        return 0
    yield from anon_vma_clone(k, vma, pvma)

    anon_vma = yield from anon_vma_alloc(k)
    avc = yield from anon_vma_chain_alloc(k, GFP_KERNEL)
    root = yield parents.root
    yield anon_vma.root.set(root)
    yield root.refcount.add(1)
    yield vma.anon_vma.set(anon_vma)
    yield from k.anon_vma_lock_write(anon_vma)
    yield from anon_vma_chain_link(k, vma, avc, anon_vma)
    yield from k.anon_vma_unlock_write(anon_vma)
    return 0


def unlink_anon_vmas(k: Context, vma: Vma) -> Kernel:
    """Take *vma* out of every tree that it is in, and free its links.

    Caller holds mmap_sem to write, or is the last to use the mm; no PTE of *vma* is left, and its page tables are
    still there.  Takes the root anon_vma's lock.  An anon_vma whose tree is empty then loses the tree's reference.
    Freeing it may take the lock, so that is left for a second pass, without the lock: newest first, the root last.
    mm/rmap.c:322 (v3.7)
    """
    root = None
    todo = yield vma.anon_vma_chain
    emptied: tuple[AnonVmaChain, ...] = ()
    while todo:
        avc, todo = todo[0], todo[1:]
        anon_vma = yield avc.anon_vma
        root = yield from lock_anon_vma_root(k, root, anon_vma)
        yield from anon_vma_interval_tree_remove(k, avc, anon_vma)
        top = yield anon_vma.rb_root
        if top is None:
            emptied = (*emptied, avc)
            continue
        yield vma.anon_vma_chain.set((*emptied, *todo))
        yield from anon_vma_chain_free(k, avc)
    yield from unlock_anon_vma_root(k, root)

    while emptied:
        avc, emptied = emptied[0], emptied[1:]
        anon_vma = yield avc.anon_vma
        yield from put_anon_vma(k, anon_vma)
        yield vma.anon_vma_chain.set(emptied)
        yield from anon_vma_chain_free(k, avc)


def anon_vma_merge(k: Context, vma: Vma, next_vma: Vma) -> Kernel:
    """Unlink *next_vma*, whose pages *vma* has taken over.  include/linux/rmap.h:140 (v3.7)

    Caller holds mmap_sem to write, and not the anon_vma lock, which this takes.  Both have the same anon_vma.
    """
    mine = yield vma.anon_vma
    other = yield next_vma.anon_vma
    if mine is not other:
        yield Bug("kernel bug", f"{vma} swallows {next_vma}, whose pages belong to {other}", (vma, next_vma))
    yield from unlink_anon_vmas(k, next_vma)


def page_mapped(k: Context, page: Page) -> Kernel:
    """Whether any PTE maps *page*.  Takes nothing: the answer may be old at once.  include/linux/mm.h:854 (v3.7)"""
    mapcount = yield page._mapcount
    return mapcount >= 0


def page_anon_vma(k: Context, page: Page) -> Kernel:
    """The anon_vma that *page* names, or None.  Neither locks nor pins it.  include/linux/rmap.h:99 (v3.7)"""
    anon_vma = yield page.mapping
    return anon_vma


def page_get_anon_vma(k: Context, page: Page) -> Kernel:
    """The anon_vma of *page* with a reference, or None if nobody maps the page any more.

    Takes no lock.  While a PTE maps the page, its VMA is still linked and the anon_vma lives; hence the test before
    and after the reference is taken.  In between only RCU keeps it an anon_vma, if perhaps another family's.  (The
    reference is given back inside the read section although that may sleep, as 3.7 does; later kernels leave it
    first.)  mm/rmap.c:403 (v3.7)
    """
    yield from rcu_read_lock()
    anon_vma = yield from _get_anon_vma_of(k, page)
    yield from rcu_read_unlock()
    return anon_vma


def _get_anon_vma_of(k: Context, page: Page) -> Kernel:
    """The body of ``page_get_anon_vma``.  Caller is in a read section."""
    anon_vma = yield page.mapping
    if anon_vma is None:
        return None
    mapped = yield from page_mapped(k, page)
    if not mapped:
        return None
    anon_vma = yield from _get_anon_vma(k, page, anon_vma)
    return anon_vma


def page_lock_anon_vma(k: Context, page: Page, flags: int = TTU_UNMAP) -> Kernel:
    """The anon_vma of *page*, its root locked for a walk, or None if nobody maps the page any more.

    The fast path is one trylock, under RCU and without a reference: if the page is still mapped once the lock is held,
    the anon_vma is still the page's and stays.  Who has to sleep pins the anon_vma first, and drops the pin once it has
    the lock; after sleeping it does not look at the mapcount again.  *flags* mean nothing in 3.7: the second RFC passes
    them down here.  mm/rmap.c:445 (v3.7)
    """
    yield from rcu_read_lock()
    anon_vma = yield page.mapping
    if anon_vma is None:
        yield from rcu_read_unlock()
        return None
    mapped = yield from page_mapped(k, page)
    if not mapped:
        yield from rcu_read_unlock()
        return None
    root = yield anon_vma.root
    locked = yield from k.anon_vma_trylock_read(root)
    if locked:
        mapped = yield from page_mapped(k, page)
        if not mapped:
            yield from k.anon_vma_unlock_root(root)
            anon_vma = None
        yield from rcu_read_unlock()
        return anon_vma
    anon_vma = yield from _get_anon_vma(k, page, anon_vma)
    yield from rcu_read_unlock()
    if anon_vma is None:
        return None
    yield from k.anon_vma_lock_read(anon_vma)
    count = yield anon_vma.refcount.add(-1)
    if count == 0:  # everybody else has gone: unlock before freeing, because freeing may take the lock
        yield from k.anon_vma_unlock_read(anon_vma)
        yield from __put_anon_vma(k, anon_vma)
        return None
    return anon_vma


def _get_anon_vma(k: Context, page: Page, anon_vma: AnonVma) -> Kernel:
    """*anon_vma* with a reference if it is still that of *page*, or None.  Caller is in a read section."""
    pinned = yield anon_vma.refcount.add_unless(1, 0)
    if not pinned:
        return None
    mapped = yield from page_mapped(k, page)
    if not mapped:
        yield from put_anon_vma(k, anon_vma)
        return None
    return anon_vma


def page_unlock_anon_vma(k: Context, anon_vma: AnonVma, flags: int = TTU_UNMAP) -> Kernel:
    """Give back what ``page_lock_anon_vma`` locked.  mm/rmap.c:507 (v3.7)"""
    yield from k.anon_vma_unlock_read(anon_vma)


def put_anon_vma(k: Context, anon_vma: AnonVma) -> Kernel:
    """Drop a reference; the last one frees the anon_vma.  Caller does not hold its lock.

    include/linux/rmap.h:93 (v3.7)
    """
    count = yield anon_vma.refcount.add(-1)
    if count == 0:
        yield from __put_anon_vma(k, anon_vma)


def __put_anon_vma(k: Context, anon_vma: AnonVma) -> Kernel:
    """Free an anon_vma, and its root if that was the root's last reference.

    The root goes first, and freeing the member then looks at the root's lock: a use after free that stayed in the
    kernel until 624483f3ea82 (2014) turned the two around.  mm/rmap.c:1675 (v3.7)
    """
    root = yield anon_vma.root
    if root is not anon_vma:
        count = yield root.refcount.add(-1)
        if count == 0:
            yield from anon_vma_free(k, root)
    yield from anon_vma_free(k, anon_vma)


def vma_address(k: Context, pgoff: int, vma: Vma) -> Kernel:
    """Where in *vma* the page with offset *pgoff* is expected.

    Caller holds the anon_vma lock, without which the two fields can belong to two different moments.  The kernel takes
    the page and reads its offset again; it cannot have changed, since the page is locked.  mm/rmap.c:527 (v3.7)
    """
    vm_start = yield vma.vm_start
    vm_pgoff = yield vma.vm_pgoff
    return vm_start + pgoff - vm_pgoff


def page_check_address(k: Context, page: Page, mm: Mm, address: int) -> Kernel:
    """The PTE and the page table that map *page* at *address*, with the ptl held; or None, with nothing held.

    A first look at the PTE is taken without the ptl; only a present one is worth the lock, and then it is looked at
    again.  A huge page has no PTE.  Takes the ptl.  include/linux/rmap.h:190, with its body at mm/rmap.c:574 (v3.7)
    """
    table = yield pmd_offset(mm, address)
    if table is None or isinstance(table, Pmd):
        return None
    pte = pte_offset_map(table, address)
    value = yield pte
    if not pte_present(value):
        return None
    yield from spin_lock(table.ptl)
    value = yield pte
    if pte_present(value) and value.page is page:
        return pte, table
    yield from spin_unlock(table.ptl)
    return None


def page_referenced(k: Context, page: Page) -> Kernel:
    """How many PTEs that map *page* are found by a walk: reclaim's question whether anybody uses it.

    Caller holds the page lock.  The kernel counts the PTEs whose accessed bit is set, and clears it; the model has no
    such bit.  mm/rmap.c:836 (v3.7)
    """
    mapped = yield from page_mapped(k, page)
    referenced = 0
    if mapped:
        referenced = yield from page_referenced_anon(k, page)
    return referenced


def page_referenced_anon(k: Context, page: Page) -> Kernel:
    """The walk: visit every VMA that may map *page*, until each of its mappings was seen.

    Caller holds the page lock.  Takes the root anon_vma lock as the variant says.  mm/rmap.c:725 (v3.7)
    """
    anon_vma = yield from k.page_lock_anon_vma(page, TTU_UNMAP)
    if anon_vma is None:
        return 0
    mapcount = yield page._mapcount
    referenced = 0
    pgoff = yield page.index
    avc = yield from anon_vma_interval_tree_iter_first(k, anon_vma, pgoff, pgoff)
    while avc is not None and referenced <= mapcount:
        vma = yield avc.vma
        address = yield from vma_address(k, pgoff, vma)
        found = yield from page_referenced_one(k, page, vma, address)
        referenced += found
        avc = yield from anon_vma_interval_tree_iter_next(k, avc, pgoff, pgoff)
    yield from k.page_unlock_anon_vma(anon_vma, TTU_UNMAP)
    return referenced


def page_referenced_one(k: Context, page: Page, vma: Vma, address: int) -> Kernel:
    """Whether *vma* maps *page* at *address*, as 1 or 0.  Takes the ptl.  mm/rmap.c:651 (v3.7)"""
    mm = yield vma.vm_mm
    found = yield from page_check_address(k, page, mm, address)
    if found is None:
        return 0
    yield from spin_unlock(found[1].ptl)
    return 1


def try_to_unmap(k: Context, page: Page, flags: int) -> Kernel:
    """Replace every PTE of *page* by a migration entry (``TTU_MIGRATION`` in *flags*) or by its swap entry.

    Caller holds the page lock.  Whether it worked the caller sees by ``page_mapped``, which it tests itself; the
    kernel tests it here as well, for callers that want to know.  mm/rmap.c:1630 (v3.7)
    """
    ret = yield from try_to_unmap_anon(k, page, flags)
    return ret


def is_vma_temporary_stack(k: Context, vma: Vma) -> Kernel:
    """Whether *vma* is the stack of an exec that is still under way.  mm/rmap.c:1440 (v3.7)"""
    vm_flags = yield vma.vm_flags
    if not vm_flags & VM_GROWSDOWN:
        return False
    return vm_flags & VM_STACK_INCOMPLETE_SETUP == VM_STACK_INCOMPLETE_SETUP


def try_to_unmap_anon(k: Context, page: Page, flags: int) -> Kernel:
    """Visit every VMA that may map *page*, until none does.

    Caller holds the page lock.  Takes the root anon_vma lock as the variant says, and each page table's ptl inside it.
    A migration skips the temporary stack of an exec: its page tables are moved without this lock, and the remap walk
    would look for its entries in the wrong place.  mm/rmap.c:1470 (v3.7)
    """
    anon_vma = yield from k.page_lock_anon_vma(page, flags)
    if anon_vma is None:
        return SWAP_AGAIN
    yield Point("unmap_walk")
    ret = SWAP_AGAIN
    pgoff = yield page.index
    avc = yield from anon_vma_interval_tree_iter_first(k, anon_vma, pgoff, pgoff)
    while avc is not None:
        vma = yield avc.vma
        temporary = False
        if flags & TTU_MIGRATION:
            temporary = yield from is_vma_temporary_stack(k, vma)
        if not temporary:
            address = yield from vma_address(k, pgoff, vma)
            ret = yield from try_to_unmap_one(k, page, vma, address, flags)
            if ret != SWAP_AGAIN:
                break
            mapped = yield from page_mapped(k, page)
            if not mapped:
                break
        avc = yield from anon_vma_interval_tree_iter_next(k, avc, pgoff, pgoff)
    yield from k.page_unlock_anon_vma(anon_vma, flags)
    return ret


def try_to_unmap_one(k: Context, page: Page, vma: Vma, address: int, flags: int) -> Kernel:
    """Put an entry where *vma* maps *page*, if it does.

    For a page in the swap cache that is its swap entry, also if it is to migrate; for any other a migration entry.
    Caller holds the page lock and the anon_vma lock.  Takes the ptl, and holds it over the TLB flush: from the
    clearing of the PTE until the entry is stored there is no PTE at all, and no fault may see that without the ptl.
    Without ``TTU_IGNORE_MLOCK`` a page of a locked VMA stays.  There is no accessed bit here, so nothing stands for
    ``TTU_IGNORE_ACCESS``.  mm/rmap.c:1194 (v3.7)
    """
    yield Point("pte_visit_unmap")
    mm = yield vma.vm_mm
    found = yield from page_check_address(k, page, mm, address)
    if found is None:
        return SWAP_AGAIN
    pte, table = found
    if not flags & TTU_IGNORE_MLOCK:
        vm_flags = yield vma.vm_flags
        if vm_flags & VM_LOCKED:
            yield from spin_unlock(table.ptl)
            ret = yield from _out_mlock(k, page, vma)
            return ret
    old = yield from k.ptep_clear_flush(vma, address, pte)
    slot = yield page.private
    if slot is not None:
        if old.dirty:
            yield page.PG_dirty.set(True)
        yield from swapfile.swap_duplicate(k, slot)
        entry = Pte("swap", slot, False)
    else:
        if not flags & TTU_MIGRATION:
            yield Bug("kernel bug", f"{page} is swapped out and has no swap slot", (page,))
        entry = yield from make_migration_entry(k, page, old.write)
    yield pte.set(entry)
    yield from page_remove_rmap(k, page)
    yield from put_page(k, page)  # the PTE's reference
    yield from spin_unlock(table.ptl)
    return SWAP_AGAIN


def _out_mlock(k: Context, page: Page, vma: Vma) -> Kernel:
    """*vma* is locked, or was a moment ago: look again under its mmap_sem, and if so mark *page*.

    Caller holds the page lock and the anon_vma lock, inside which nobody may wait for mmap_sem: whoever changes VMAs
    holds that and then wants the anon_vma lock.  So this only tries; if it fails the page stays as it is, to be found
    again.  (The end of try_to_unmap_one, mm/rmap.c:1295.)
    """
    ret = SWAP_AGAIN
    mm = yield vma.vm_mm
    taken = yield from down_read_trylock(mm.mmap_sem)
    if taken:
        vm_flags = yield vma.vm_flags
        if vm_flags & VM_LOCKED:
            yield from mlock.mlock_vma_page(k, page)
            ret = SWAP_MLOCK
        yield from up_read(mm.mmap_sem)
    return ret


def rmap_walk(k: Context, page: Page, rmap_one: KernelFunction, arg: Hashable) -> Kernel:
    """Call *rmap_one* for every VMA that may map *page*.  Caller holds the page lock.  mm/rmap.c:1745 (v3.7)"""
    ret = yield from rmap_walk_anon(k, page, rmap_one, arg)
    return ret


def rmap_walk_anon(k: Context, page: Page, rmap_one: KernelFunction, arg: Hashable) -> Kernel:
    """Call ``rmap_one(k, page, vma, address, arg)`` for every VMA in the tree of *page*'s anon_vma.

    Caller holds the page lock and a reference to the anon_vma: nobody maps the page now, so ``page_lock_anon_vma``
    would find nothing.  Takes the root anon_vma lock as the variant says.  Nobody counts whether every migration
    entry was found: a VMA that is missed here keeps its entry for good.  mm/rmap.c:1690 (v3.7)
    """
    ret = SWAP_AGAIN
    pgoff = yield page.index
    anon_vma = yield from page_anon_vma(k, page)
    if anon_vma is None:
        return ret
    yield from k.rmap_walk_anon_lock(anon_vma)
    yield Point("remap_walk")
    avc = yield from anon_vma_interval_tree_iter_first(k, anon_vma, pgoff, pgoff)
    while avc is not None:
        vma = yield avc.vma
        address = yield from vma_address(k, pgoff, vma)
        ret = yield from rmap_one(k, page, vma, address, arg)
        if ret != SWAP_AGAIN:
            break
        avc = yield from anon_vma_interval_tree_iter_next(k, avc, pgoff, pgoff)
    yield from k.rmap_walk_anon_unlock(anon_vma)
    return ret


def page_add_new_anon_rmap(k: Context, page: Page, vma: Vma, address: int) -> Kernel:
    """Account for the first PTE of a page that nobody else knows yet, and put the page on the LRU.

    Caller holds the ptl, and has not stored the PTE yet.  mm/rmap.c:1073 (v3.7)
    """
    yield page._mapcount.set(0)
    yield from __page_set_anon_rmap(k, page, vma, address, exclusive=True)
    yield from lru_cache_add_lru(k, page)


def page_add_anon_rmap(k: Context, page: Page, vma: Vma, address: int) -> Kernel:
    """Account for one more PTE of a page.  Caller holds the ptl and the page lock.  mm/rmap.c:1030 (v3.7)"""
    yield from do_page_add_anon_rmap(k, page, vma, address, exclusive=False)


def do_page_add_anon_rmap(k: Context, page: Page, vma: Vma, address: int, exclusive: bool) -> Kernel:
    """The same; *exclusive*: no relative has the page, so it may belong to *vma*'s own anon_vma.

    Caller holds the ptl and the page lock.  mm/rmap.c:1041 (v3.7)
    """
    mapcount = yield page._mapcount.add(1)
    if mapcount == 0:
        yield from __page_set_anon_rmap(k, page, vma, address, exclusive)


def page_dup_rmap(k: Context, page: Page) -> Kernel:
    """Account for a PTE that was copied.  Caller holds the ptl of the PTE that it is a copy of.

    include/linux/rmap.h:165 (v3.7)
    """
    yield page._mapcount.add(1)


def __page_set_anon_rmap(k: Context, page: Page, vma: Vma, address: int, exclusive: bool) -> Kernel:
    """Say where *page* belongs, unless that is known: in *vma*'s anon_vma, or if not exclusive, in the oldest one.

    Caller holds the ptl.  A page that was migrated has inherited its place.  mm/rmap.c:969 (v3.7)
    """
    mapping = yield page.mapping
    if mapping is not None:
        return
    anon_vma = yield vma.anon_vma
    if anon_vma is None:
        yield Bug("kernel bug", f"{page} is mapped in {vma}, which has no anon_vma", (page, vma))
    if not exclusive:
        anon_vma = yield anon_vma.root
    index = yield from linear_page_index(k, vma, address)
    yield page.mapping.set(anon_vma)
    yield page.index.set(index)


def page_move_anon_rmap(k: Context, page: Page, vma: Vma, address: int) -> Kernel:
    """Make *page* belong to *vma*'s own anon_vma: after copy on write no relative maps it.

    Caller holds the ptl and the page lock.  mm/rmap.c:949 (v3.7)
    """
    anon_vma = yield vma.anon_vma
    yield page.mapping.set(anon_vma)


def page_remove_rmap(k: Context, page: Page) -> Kernel:
    """Account for the end of one PTE.  Caller holds the ptl.

    Leaves ``page->mapping`` as it is, even after the last one: it can be trusted only while the page is mapped.
    mm/rmap.c:1115 (v3.7)
    """
    yield page._mapcount.add(-1)


# rmap and mmap call each other; this one comes last, when all that mmap and those below it want of this file is there.
from sim.kernel import mmap  # noqa: E402
