"""What the gates of lesson 5 ask: what does this lock protect?"""

from __future__ import annotations

from course.kit import Option, ask


def known() -> None:
    """Importing this module has made its questions known."""


ask(
    "L05.a",
    "One run moves a page. At each change of its PTE three locks are held alone: the page lock, the anon_vma lock and "
    "the ptl. Four more runs follow, with a child's mprotect, a growing stack, an exit, and compaction. "
    "Which of the three are held at every change of a PTE in all five?",
    Option(
        "All three: together they are safer than one",
        "Faults and mprotect change PTEs too, and take one lock for it. What not all writers take protects nothing.",
        "M5",
    ),
    Option(
        "The anon_vma lock: whoever moves a page holds it from the start",
        "It is the code that moves pages which holds it there. Others change the same PTE and never take it.",
        "M4",
    ),
    Option("The ptl", "Movers, faults, mprotect: every one of them takes the lock of the page table for it."),
    Option(
        "The page lock and the ptl: the one for the page, the other for its PTE",
        "The page lock belongs to a frame. A fault in an empty place has no frame yet whose lock it could take.",
        "M26",
    ),
    look="Five runs are in the table. Which locks were held alone at every change of a PTE?",
)

ask(
    "L05.b",
    "A mover has taken a reference to its page's anon_vma; the walk that puts PTEs back takes no lock. "
    "A child, whose VMA is in the same tree, exits meanwhile. What does the reference keep from being freed?",
    Option(
        "The anon_vma and all that hangs in its tree",
        "The count says how many use the anon_vma. The links in the tree have none; who takes one out frees it.",
        "M10",
    ),
    Option(
        "The anon_vma, and nothing else",
        "The link that the walk stands on is freed with the child's VMA. The lock would have kept the child waiting.",
    ),
    Option(
        "Nothing need be kept: the mover holds its mmap_sem, so that no VMA goes",
        "That is the mmap_sem of the mover's process. The child has one of its own, and an exit takes not even that.",
        "M20",
    ),
)

ask(
    "L05.c",
    "Back to the question of the mail. The walk that puts PTEs back reads the chains and changes none of them. What "
    "does it need of the lock that guards the chains?",
    Option(
        "Nothing: it takes the ptl for each PTE that it changes",
        "To get to a PTE it goes by the chains, and must not find them half changed. The ptl comes later.",
        "M25",
    ),
    Option(
        "To hold it alone, as those do who change the chains",
        "That is safe, and more than it needs: two walks that only read need not wait for each other.",
        "M27",
    ),
    Option(
        "To hold a reference in its place",
        "That is what the mover has anyhow. It keeps the anon_vma; the chains are changed all the same.",
        "M10",
    ),
    Option(
        "To hold it together with other walks, so that nobody changes the chains",
        "Whoever changes them wants the lock alone, and waits. Walks do not disturb each other.",
    ),
)

ask(
    "L05.r1",
    "From lesson 2: how many anon_vma locks are there for the pages of a process that has forked twice?",
    Option("One for each page", "A lock in each page there is too, the page lock. This one is the family's.", "M19"),
    Option("One for each family of VMAs that go back to the same one", "The root's, which parent and children share."),
    Option(
        "One for each process",
        "Children share the root with their parent; and unrelated VMAs of one process have different roots.",
        "M20",
    ),
)

ask(
    "L05.r2",
    "From lesson 1: what keeps a user thread from writing to a frame while it is copied?",
    Option("The page lock", "User threads do not take it: one with a TLB entry would write all the same.", "M4"),
    Option("The ptl", "It is held while the PTE is changed, and given back before the copy.", "M4"),
    Option(
        "That no PTE and no TLB entry leads to it any more",
        "Unmapped and flushed: the thread faults, meets the migration entry, and sleeps.",
    ),
)
