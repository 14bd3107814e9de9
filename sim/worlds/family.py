"""A relative forks or exits while a page moves: who may take a VMA into the family's trees or out of them, and when."""

from __future__ import annotations

from functools import partial

from sim.context import Context
from sim.kernel import migrate
from sim.kernel.exit import do_exit
from sim.kernel.fork import dup_mm
from sim.kernel.interval_tree import AUGMENT, avc_start_pgoff, vma_last_pgoff
from sim.kernel.memory import copy_page_range
from sim.kernel.mmap import sys_munmap
from sim.kernel.rbtree import rb_insert_augmented, rb_link_node
from sim.kernel.rmap import anon_vma_fork, page_anon_vma
from sim.locks import holders
from sim.ops import Kernel
from sim.setup import Builder
from sim.structs import AnonVma, AnonVmaChain, Mm, Page, Vma
from sim.sync import down_read_nested, mutex_lock, mutex_unlock, up_read
from sim.worlds import world
from sim.worlds.edits import kernel_mover
from sim.worlds.moving import PASSES, mover


def _exiter(k: Context) -> Kernel:
    yield from do_exit(k)


def _unmapper(k: Context, *, pages: int) -> Kernel:
    yield from sys_munmap(k, 0, pages)


def _forker(k: Context) -> Kernel:
    yield from dup_mm(k)


@world(check={"passes": 2}, passes=PASSES)
def relative_exits(passes: int) -> Builder:
    """A child exits while its parent moves a page that the child never had.

    Parent P and child C share no page: P touched page 0 after the fork.  But C's VMA is in the tree of the anon_vma
    that the page belongs to, so both walks visit it.  P calls move_pages; C exits, which takes its links out of the
    trees under the root's lock and frees them, and then its VMA and its address space (mm/rmap.c:322,
    mm/mmap.c:2287 to 2333).  mmap_sem of P, which the mover holds, keeps C from nothing.  H1.
    """
    b = Builder()
    parent, cpu0, cpu1 = b.mm(), b.cpu(0, 0), b.cpu(1, 1)
    heap = b.vma(parent, "heap", 0, 1)
    child = b.fork(parent, "C")
    b.page(heap, 0, node=0, written=1)
    b.task("mover", cpu0, parent, partial(mover, vpns=(0,), node=1, passes=passes), "moves page 0 of P to node 1")
    b.task("child", cpu1, child, _exiter, "exits")
    return b


@world(check={"passes": 2}, passes=PASSES)
def page_table_freed(passes: int) -> Builder:
    """A child unmaps a page that it shares with its parent, which moves it.

    The walks look into C's page table.  munmap clears the PTE under the ptl alone, then takes C's VMA out of the trees
    under the root's lock, and only then frees its page table (mm/memory.c:546, 1109): a walk that holds the lock and
    has found the VMA finds the page table alive.  Without the lock a walker can stand anywhere between the VMA and the
    page table when they go; the shortest counterexample names the link.  H5.
    """
    b = Builder()
    parent, cpu0, cpu1 = b.mm(), b.cpu(0, 0), b.cpu(1, 1)
    b.page(b.vma(parent, "heap", 0, 1), 0, node=0, written=1)
    child = b.fork(parent, "C")
    b.task("mover", cpu0, parent, partial(mover, vpns=(0,), node=1, passes=passes), "moves page 0 of P to node 1")
    b.task("child", cpu1, child, partial(_unmapper, pages=1), "unmaps its page 0")
    return b


@world(check={"passes": 2}, passes=PASSES)
def fork_during_migration(passes: int) -> Builder:
    """A child forks a child of its own while a page that it shares with its parent moves.

    P and C share page 0; P calls move_pages; C forks.  If the page is unmapped at that moment, the fork copies a
    migration entry, and the remap walk must find the grandchild too: its VMA is in the trees before a PTE is copied
    (kernel/fork.c:398 before 437), and among equal page offsets it comes after its parent's
    (include/linux/interval_tree_generic.h:68).  The new link is the third of its tree, so the tree is rotated.  H10.
    """
    b = Builder()
    parent, cpu0, cpu1 = b.mm(), b.cpu(0, 0), b.cpu(1, 1)
    b.page(b.vma(parent, "heap", 0, 1), 0, node=0, written=1)
    child = b.fork(parent, "C")
    b.task("mover", cpu0, parent, partial(mover, vpns=(0,), node=1, passes=passes), "moves page 0 of P to node 1")
    b.task("child", cpu1, child, _forker, "forks")
    return b


def not_yet(k: Context, vma: Vma, pvma: Vma) -> Kernel:
    """Leave the child's VMA out of the trees for now.  mm/rmap.c:272 (v3.7)"""
    yield from ()


def copy_then_link(k: Context, dst_mm: Mm, src_mm: Mm, vma: Vma) -> Kernel:
    """Copy the PTEs, and then link the child's VMA, the last of its list.  mm/memory.c:1040 (v3.7)"""
    yield from copy_page_range(k, dst_mm, src_mm, vma)
    vmas = yield dst_mm.mmap
    yield from anon_vma_fork(k, vmas[-1], vma)


def insert_to_the_left(k: Context, node: AnonVmaChain, anon_vma: AnonVma) -> Kernel:
    """Put *node* into the tree before its equals, not after them.  mm/interval_tree.c:76 (v3.7)"""
    vma = yield node.vma
    start = yield vma.vm_pgoff
    last = yield from vma_last_pgoff(k, vma, start)
    parent, link = None, anon_vma.rb_root
    below = yield link
    while below is not None:
        parent = below
        subtree_last = yield parent.rb_subtree_last
        if subtree_last < last:
            yield parent.rb_subtree_last.set(last)
        parent_start = yield from avc_start_pgoff(k, parent)
        link = parent.rb_left if start <= parent_start else parent.rb_right
        below = yield link
    yield node.rb_subtree_last.set(last)
    yield from rb_link_node(k, node, parent, link)
    yield from rb_insert_augmented(k, node, anon_vma.rb_root, AUGMENT)


fork_during_migration.variation(
    "ptes_first",
    "Fork copies the PTEs before it links the child's VMA to the family's trees.",
    {"rmap.anon_vma_fork": not_yet, "memory.copy_page_range": copy_then_link},
)
fork_during_migration.variation(
    "left_insert",
    "Among equal page offsets the tree puts the newcomer first, so that a walk meets a child before its parent.",
    {"interval_tree.anon_vma_interval_tree_insert": insert_to_the_left},
)


@world(check={"passes": 2}, passes=PASSES)
def nested_reader(passes: int) -> Builder:
    """A child forks while a kernel thread moves a page of its parent: a writer queues behind a walk.

    P touched page 0 after C was forked.  What the remap walk does for each VMA takes the ptl and nothing that sleeps
    (mm/migrate.c:89).  From 3.8 on the walk shares the lock with other walks, and a fork that queues for it alone keeps
    new readers out (lib/rwsem.c:130).  H22.
    """
    b = Builder()
    parent, cpu0, cpu1 = b.mm(), b.cpu(0, 0), b.cpu(1, 1)
    heap = b.vma(parent, "heap", 0, 1)
    child = b.fork(parent, "C")
    page = b.page(heap, 0, node=0, written=1)
    move = partial(kernel_mover, page=page, node=1, passes=passes)
    b.kernel_thread("mover", cpu0, move, "moves page 0 of P to node 1, for the kernel's own reasons")
    b.task("child", cpu1, child, _forker, "forks")
    return b


def remap_that_allocates(k: Context, new: Page, vma: Vma, address: int, old: Page) -> Kernel:
    """Allocate in the middle of a walk; there is no memory, and direct reclaim walks a page of the same family.

    mm/migrate.c:89 (v3.7)
    """
    anon_vma = yield from page_anon_vma(k, new)
    root = yield anon_vma.root
    mutex = yield root.mutex
    if holders(mutex):
        yield from mutex_lock(root.mutex)
        yield from mutex_unlock(root.mutex)
    else:
        yield from down_read_nested(root.rwsem)
        yield from up_read(root.rwsem)
    again = yield from migrate.remove_migration_pte(k, new, vma, address, old)
    return again


nested_reader.variation(
    "allocates",
    "The remap walk allocates for each VMA, and the reclaim that this may start takes the same lock again.",
    {"migrate.remove_migration_pte": remap_that_allocates},
)
