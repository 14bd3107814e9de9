"""A red-black tree over anon_vma_chains: lib/rbtree.c (v3.7).

Physical: the nodes point to each other, and each store of a pointer is a step of its own.  Whoever walks the
tree without the root anon_vma's lock can therefore see a rotation half done.  All functions that change the
tree need that lock held to write; they check nothing.

The kernel keeps a node's parent and colour in one word; here they are two fields.  Nobody reads a colour
without the lock, so no walker can tell.

``root`` is the field that holds the topmost node (``anon_vma.rb_root``), as the kernel passes ``struct rb_root *``.
A side is the name of a child pointer, :data:`LEFT` or :data:`RIGHT`: what the kernel writes out twice, once in
mirror image, stands here once.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from sim.context import Context
from sim.ops import Field, Kernel, KernelFunction
from sim.structs import AnonVmaChain

RED: Final = "red"
BLACK: Final = "black"
LEFT: Final = "rb_left"
RIGHT: Final = "rb_right"
OTHER: Final = {LEFT: RIGHT, RIGHT: LEFT}


class RbAugmentCallbacks(NamedTuple):
    """How a tree keeps what each node knows of its subtree.  include/linux/rbtree_augmented.h:38 (v3.7)

    Attributes:
        propagate: (k, node, stop): bring *node* and its ancestors below *stop* up to date.
        copy: (k, old, new): *new* takes the place of *old*.
        rotate: (k, old, new): *new* has risen above *old*.
    """

    propagate: KernelFunction
    copy: KernelFunction
    rotate: KernelFunction


def rb_link_node(k: Context, node: AnonVmaChain, parent: AnonVmaChain | None, link: Field) -> Kernel:
    """Hang *node*, red and without children, into the empty place *link* below *parent*.

    The last store makes it reachable.  include/linux/rbtree.h:75 (v3.7)
    """
    yield node.rb_parent.set(parent)
    yield node.rb_color.set(RED)
    yield node.rb_left.set(None)
    yield node.rb_right.set(None)
    yield link.set(node)


def rb_insert_augmented(k: Context, node: AnonVmaChain, root: Field, augment: RbAugmentCallbacks) -> Kernel:
    """Make the tree red-black again after *node* was linked.  include/linux/rbtree_augmented.h:47 (v3.7)

    Caller holds the root anon_vma's lock to write, and has made subtree_last right on the way down.
    """
    yield from __rb_insert(k, node, root, augment)


def __rb_insert(k: Context, node: AnonVmaChain, root: Field, augment: RbAugmentCallbacks) -> Kernel:
    """Climb from the red *node* for as long as its parent is red too.  lib/rbtree.c:73 (v3.7)

    A red uncle: recolour and go on two levels higher.  A black one: one rotation or two, and done.
    """
    parent = yield node.rb_parent
    while parent is not None:
        color = yield parent.rb_color
        if color == BLACK:
            return
        gparent = yield parent.rb_parent
        side = yield from _side(gparent, parent)
        uncle = yield getattr(gparent, OTHER[side])
        red = yield from _is_red(uncle)
        if not red:
            yield from _insert_rotate(k, node, parent, gparent, side, root, augment)
            return
        yield uncle.rb_color.set(BLACK)
        yield parent.rb_color.set(BLACK)
        yield gparent.rb_color.set(RED)
        node = gparent
        parent = yield node.rb_parent
    yield node.rb_color.set(BLACK)


def _insert_rotate(
    k: Context, node: AnonVmaChain, parent: Any, gparent: Any, side: str, root: Field, augment: RbAugmentCallbacks
) -> Kernel:
    """Rotate *parent* above *gparent*, and before that an inner *node* above *parent*.  (Part of __rb_insert.)"""
    outer = yield getattr(parent, side)
    if outer is not node:
        yield from _rotate(k, parent, node, OTHER[side], root, RED, augment)
        parent = node
    yield from _rotate(k, gparent, parent, side, root, RED, augment)  # which makes it black, as gparent was


def rb_erase_augmented(k: Context, node: AnonVmaChain, root: Field, augment: RbAugmentCallbacks) -> Kernel:
    """Take *node* out of the tree; its own pointers stay as they are.  include/linux/rbtree_augmented.h:127 (v3.7)

    Caller holds the root anon_vma's lock to write.
    """
    left = yield node.rb_left
    right = yield node.rb_right
    if left is None or right is None:
        child = right if left is None else left
        short = yield from _splice_out(k, node, child, root, augment)
    else:
        short = yield from _replace_by_successor(k, node, left, right, root, augment)
    if short is not None:
        yield from __rb_erase_color(k, short, root, augment)


def _splice_out(
    k: Context, node: AnonVmaChain, child: AnonVmaChain | None, root: Field, augment: RbAugmentCallbacks
) -> Kernel:
    """Put the only *child* of *node*, or nothing, in its place.  Returns the parent that now lacks a black child.

    An only child is red, so it can take the colour of *node*.  (Part of rb_erase_augmented.)
    """
    parent = yield node.rb_parent
    color = yield node.rb_color
    yield from __rb_change_child(k, node, child, parent, root)
    if child is not None:
        yield child.rb_parent.set(parent)
        yield child.rb_color.set(color)
    yield from augment.propagate(k, parent, None)
    return parent if child is None and color == BLACK else None


def _replace_by_successor(
    k: Context, node: AnonVmaChain, left: AnonVmaChain, right: AnonVmaChain, root: Field, augment: RbAugmentCallbacks
) -> Kernel:
    """Put the next node in order in the place of *node*.  Returns the parent that now lacks a black child.

    It is the leftmost one of the right subtree.  For a while it has left its old place and does not stand in
    the new one: an unlocked walker misses it.  (Part of rb_erase_augmented.)
    """
    parent, successor = node, right
    below = yield successor.rb_left
    while below is not None:
        parent, successor = successor, below
        below = yield successor.rb_left
    orphan = yield successor.rb_right
    if parent is node:
        parent = successor
        yield from augment.copy(k, node, successor)
    else:
        yield parent.rb_left.set(orphan)
        yield successor.rb_right.set(right)
        yield right.rb_parent.set(successor)
        yield from augment.copy(k, node, successor)
        yield from augment.propagate(k, parent, successor)
    yield successor.rb_left.set(left)
    yield left.rb_parent.set(successor)
    lost = yield successor.rb_color
    yield from _take_place(k, node, successor, root)
    if orphan is not None:
        yield orphan.rb_parent.set(parent)
        yield orphan.rb_color.set(BLACK)
    yield from augment.propagate(k, successor, None)
    return parent if orphan is None and lost == BLACK else None


def __rb_erase_color(k: Context, parent: AnonVmaChain | None, root: Field, augment: RbAugmentCallbacks) -> Kernel:
    """Make up for a black node that is missing below *parent*, on the side that is empty.  lib/rbtree.c:198 (v3.7)

    Caller holds the root anon_vma's lock to write.
    """
    node = None
    while parent is not None:
        side = yield from _side(parent, node)
        sibling = yield getattr(parent, OTHER[side])
        red = yield from _is_red(sibling)
        if red:
            yield from _rotate(k, parent, sibling, OTHER[side], root, RED, augment)
            sibling = yield getattr(parent, OTHER[side])
        rotated = yield from _erase_rotate(k, parent, sibling, side, root, augment)
        if rotated:
            return
        yield sibling.rb_color.set(RED)
        red = yield from _is_red(parent)
        if red:
            yield parent.rb_color.set(BLACK)
            return
        node = parent
        parent = yield node.rb_parent


def _erase_rotate(
    k: Context, parent: AnonVmaChain, sibling: Any, side: str, root: Field, augment: RbAugmentCallbacks
) -> Kernel:
    """Fetch a black from a *sibling* that has a red child.  Returns False if it has none.

    Rotates the sibling above *parent*, after its inner child above it if only that one is red.
    (Part of __rb_erase_color.)
    """
    outer = yield getattr(sibling, OTHER[side])
    red = yield from _is_red(outer)
    if not red:
        inner = yield getattr(sibling, side)
        red = yield from _is_red(inner)
        if not red:
            return False
        yield from _rotate(k, sibling, inner, side, root, RED, augment)
        outer, sibling = sibling, inner
    yield from _rotate(k, parent, sibling, OTHER[side], root, BLACK, augment)
    yield outer.rb_color.set(BLACK)
    return True


# --- pieces ----------------------------------------------------------------------------------------------


def _rotate(
    k: Context, old: AnonVmaChain, new: AnonVmaChain, side: str, root: Field, color: str, augment: RbAugmentCallbacks
) -> Kernel:
    """Raise *new*, the child of *old* on *side*, above it.  *new* inherits the colour of *old*, which gets *color*.

    After the first store *new* hangs below nobody: until the last one an unlocked walker from the top misses
    *old* or *new* with its subtree.  (The kernel writes this out in every case, and saves two stores where two
    rotations follow each other.)
    """
    moved = yield getattr(new, OTHER[side])
    yield getattr(old, side).set(moved)
    yield getattr(new, OTHER[side]).set(old)
    if moved is not None:
        yield moved.rb_parent.set(old)
    yield from __rb_rotate_set_parents(k, old, new, root, color)
    yield from augment.rotate(k, old, new)


def __rb_rotate_set_parents(k: Context, old: AnonVmaChain, new: AnonVmaChain, root: Field, color: str) -> Kernel:
    """Turn the upward pointers of a rotation, then the one from above.  lib/rbtree.c:63 (v3.7)"""
    parent = yield old.rb_parent
    inherited = yield old.rb_color
    yield new.rb_parent.set(parent)
    yield new.rb_color.set(inherited)
    yield old.rb_parent.set(new)
    yield old.rb_color.set(color)
    yield from __rb_change_child(k, old, new, parent, root)


def _take_place(k: Context, old: AnonVmaChain, new: AnonVmaChain, root: Field) -> Kernel:
    """Give *new* the parent and colour of *old*, and point the parent to it.  (Part of rb_erase_augmented.)"""
    parent = yield old.rb_parent
    color = yield old.rb_color
    yield from __rb_change_child(k, old, new, parent, root)
    yield new.rb_parent.set(parent)
    yield new.rb_color.set(color)


def __rb_change_child(
    k: Context, old: AnonVmaChain, new: AnonVmaChain | None, parent: AnonVmaChain | None, root: Field
) -> Kernel:
    """Let what pointed down to *old* point to *new*.  include/linux/rbtree_augmented.h:111 (v3.7)"""
    if parent is None:
        yield root.set(new)
        return
    side = yield from _side(parent, old)
    yield getattr(parent, side).set(new)


def _side(parent: AnonVmaChain, node: AnonVmaChain | None) -> Kernel:
    """On which side of *parent* the child *node* hangs."""
    left = yield parent.rb_left
    return LEFT if left is node else RIGHT


def _is_red(node: AnonVmaChain | None) -> Kernel:
    """Whether there is a *node* and it is red; no node counts as black.  include/linux/rbtree_augmented.h:96 (v3.7)"""
    if node is None:
        return False
    color = yield node.rb_color
    return color == RED
