"""The interval tree of an anon_vma: mm/interval_tree.c, include/linux/interval_tree_generic.h (v3.7).

A red-black tree of anon_vma_chains, in order of their VMAs' first page offset.  Each node also keeps the last
page offset of its subtree (``rb_subtree_last``), so that a search for a page leaves out what cannot hold it.

A node's interval is not stored: it is read from the VMA each time, so a walker without the lock can meet a VMA
whose vm_start has moved and whose vm_pgoff has not.
"""

from __future__ import annotations

from typing import Any, Final

from sim.context import Context
from sim.kernel.rbtree import RbAugmentCallbacks, rb_erase_augmented, rb_insert_augmented, rb_link_node
from sim.ops import Kernel
from sim.structs import AnonVma, AnonVmaChain, Vma


def anon_vma_interval_tree_insert(k: Context, node: AnonVmaChain, anon_vma: AnonVma) -> Kernel:
    """Put *node* into the tree of *anon_vma*.  mm/interval_tree.c:76 (v3.7)

    Caller holds the root anon_vma's lock to write.  Among equal first offsets the newcomer goes to the right:
    a walk meets a child's VMA after its parent's (include/linux/interval_tree_generic.h:68).
    """
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
        link = parent.rb_left if start < parent_start else parent.rb_right
        below = yield link
    yield node.rb_subtree_last.set(last)
    yield from rb_link_node(k, node, parent, link)
    yield from rb_insert_augmented(k, node, anon_vma.rb_root, AUGMENT)


def anon_vma_interval_tree_remove(k: Context, node: AnonVmaChain, anon_vma: AnonVma) -> Kernel:
    """Take *node* out of the tree of *anon_vma*.  mm/interval_tree.c:86 (v3.7)

    Caller holds the root anon_vma's lock to write.
    """
    yield from rb_erase_augmented(k, node, anon_vma.rb_root, AUGMENT)


def anon_vma_interval_tree_iter_first(k: Context, anon_vma: AnonVma, start: int, last: int) -> Kernel:
    """The first node whose VMA has one of the offsets *start* to *last*, or None.  mm/interval_tree.c:93 (v3.7)

    Caller holds the root anon_vma's lock, to read at least.
    """
    node = yield anon_vma.rb_root
    if node is None:
        return None
    subtree_last = yield node.rb_subtree_last
    if subtree_last < start:
        return None
    found = yield from __anon_vma_interval_tree_subtree_search(k, node, start, last)
    return found


def anon_vma_interval_tree_iter_next(k: Context, node: AnonVmaChain, start: int, last: int) -> Kernel:
    """The next such node after *node*, or None.  mm/interval_tree.c:100 (v3.7)

    Caller holds the root anon_vma's lock, to read at least.  The cursor is *node* itself: if somebody erased or
    freed it since, the walk follows pointers that no longer lead through the tree.
    """
    right = yield node.rb_right
    while True:
        if right is not None:
            subtree_last = yield right.rb_subtree_last
            if start <= subtree_last:
                found = yield from __anon_vma_interval_tree_subtree_search(k, right, start, last)
                return found
        while True:  # climb until we come from a left child
            parent = yield node.rb_parent
            if parent is None:
                return None
            right = yield parent.rb_right
            child, node = node, parent
            if child is not right:
                break
        vma = yield node.vma
        node_start = yield vma.vm_pgoff
        if last < node_start:
            return None
        node_last = yield from vma_last_pgoff(k, vma, node_start)
        if start <= node_last:
            return node


def __anon_vma_interval_tree_subtree_search(k: Context, node: AnonVmaChain, start: int, last: int) -> Kernel:
    """The leftmost match below *node*, whose subtree reaches *start*.  include/linux/interval_tree_generic.h:105 (v3.7)

    Where the left subtree reaches *start*, the match is there or nowhere: what lies further right begins later.
    """
    while True:
        left = yield node.rb_left
        if left is not None:
            subtree_last = yield left.rb_subtree_last
            if start <= subtree_last:
                node = left
                continue
        vma = yield node.vma
        node_start = yield vma.vm_pgoff
        if last < node_start:
            return None
        node_last = yield from vma_last_pgoff(k, vma, node_start)
        if start <= node_last:
            return node
        right = yield node.rb_right
        if right is None:
            return None
        subtree_last = yield right.rb_subtree_last
        if subtree_last < start:
            return None
        node = right


# --- the interval of a node ------------------------------------------------------------------------------


def avc_start_pgoff(k: Context, node: AnonVmaChain) -> Kernel:
    """The first page offset of the VMA of *node*.  mm/interval_tree.c:62 (v3.7)"""
    vma = yield node.vma
    start = yield vma.vm_pgoff
    return start


def avc_last_pgoff(k: Context, node: AnonVmaChain) -> Kernel:
    """The last page offset of the VMA of *node*.  mm/interval_tree.c:67 (v3.7)"""
    vma = yield node.vma
    start = yield vma.vm_pgoff
    last = yield from vma_last_pgoff(k, vma, start)
    return last


def vma_last_pgoff(k: Context, vma: Vma, vm_pgoff: int) -> Kernel:
    """The last page offset of *vma*, whose vm_pgoff the caller has read.  mm/interval_tree.c:19 (v3.7)"""
    vm_end = yield vma.vm_end
    vm_start = yield vma.vm_start
    return vm_pgoff + (vm_end - vm_start) - 1


# --- what a node knows of its subtree --------------------------------------------------------------------


def __anon_vma_interval_tree_compute_subtree_last(k: Context, node: AnonVmaChain) -> Kernel:
    """The last page offset below *node*, from its own VMA and its children.

    include/linux/interval_tree_generic.h:45 (v3.7)
    """
    last = yield from avc_last_pgoff(k, node)
    left = yield node.rb_left
    if left is not None:
        left_last = yield left.rb_subtree_last
        last = max(last, left_last)
    right = yield node.rb_right
    if right is not None:
        right_last = yield right.rb_subtree_last
        last = max(last, right_last)
    return last


def __anon_vma_interval_tree_augment_propagate(k: Context, node: Any, stop: AnonVmaChain | None) -> Kernel:
    """Recompute from *node* up to *stop*, or until one is right already.  include/linux/rbtree_augmented.h:56 (v3.7)"""
    while node is not stop:
        last = yield from __anon_vma_interval_tree_compute_subtree_last(k, node)
        before = yield node.rb_subtree_last
        if before == last:
            return
        yield node.rb_subtree_last.set(last)
        node = yield node.rb_parent


def __anon_vma_interval_tree_augment_copy(k: Context, old: AnonVmaChain, new: AnonVmaChain) -> Kernel:
    """*new* stands where *old* stood.  include/linux/rbtree_augmented.h:68 (v3.7)"""
    last = yield old.rb_subtree_last
    yield new.rb_subtree_last.set(last)


def __anon_vma_interval_tree_augment_rotate(k: Context, old: AnonVmaChain, new: AnonVmaChain) -> Kernel:
    """*new* has risen above *old* and covers what *old* covered.  include/linux/rbtree_augmented.h:75 (v3.7)"""
    last = yield old.rb_subtree_last
    yield new.rb_subtree_last.set(last)
    last = yield from __anon_vma_interval_tree_compute_subtree_last(k, old)
    yield old.rb_subtree_last.set(last)


AUGMENT: Final = RbAugmentCallbacks(
    propagate=__anon_vma_interval_tree_augment_propagate,
    copy=__anon_vma_interval_tree_augment_copy,
    rotate=__anon_vma_interval_tree_augment_rotate,
)
