"""What the gates of lesson 7 ask: does every caller hold the mmap_sem, and is that enough?"""

from __future__ import annotations

from course.kit import Option, ask


def known() -> None:
    """Importing this module has made its questions known."""


ask(
    "L07.a",
    "Six callers unmap a page: a NUMA fault, move_pages, mbind, compaction, hot-remove and reclaim. Process P and its "
    "child C both map it; only the NUMA fault moves no shared page, so that its page is P's alone. How many of the six "
    "hold the mmap_sem of every process that maps the page?",
    Option(
        "All six, as the patch says",
        "It was so for the callers that its author had in mind. Three of the six belong to no process at all.",
        "M21",
    ),
    Option(
        "Three: the NUMA fault, move_pages and mbind",
        "These three hold one mmap_sem, that of the process which they work for. The child has another.",
        "M20",
    ),
    Option("One: the NUMA fault", "It holds P's, and nobody else maps the page. All the others lack at least C's."),
    Option(
        "That cannot be known: the comment says something, and comments are no evidence",
        "The comment was a hint where to look, and it was right. What a caller holds can be read off a run.",
        "M22",
    ),
    look="Of how many callers was the claim true?",
)

ask(
    "L07.b",
    "Now the claim is made true by force: every caller holds, to read, the mmap_sem of every process that maps the "
    "page. Beside which disturbers is the patch safe then, if compaction moves the page?",
    Option(
        "Beside all of them: nobody can change a VMA any more",
        "Who wants the mmap_sem to write must wait. Not everybody does who changes what a walk goes by.",
        "M20",
    ),
    Option(
        "Beside mremap and exit, but not beside a stack that grows",
        "An exit takes no mmap_sem: nobody uses the address space any more, except for a walk that it does not see.",
        "M21",
    ),
    Option(
        "Beside MADV_DONTNEED only, as before: they only read, and readers stop nobody",
        "Readers stop writers, and mremap is one: it waits until the mover has given the mmap_sem back.",
        "M9",
    ),
    Option(
        "Beside mremap, but neither beside an exit nor beside a stack that grows",
        "mremap writes, and waits. An exit takes no mmap_sem, and a growing stack takes it to read, as the mover does.",
    ),
)

ask(
    "L07.c",
    "How would you mend the patch, so that nothing goes wrong beside any of the four, and most of the speed stays?",
    Option(
        "Nothing: the mover's reference to the anon_vma keeps what the walk needs",
        "It keeps the anon_vma. The links in its tree go all the same, and VMAs leave it for a moment.",
        "M10",
    ),
    Option(
        "Take the mmap_sem of every process in the family, to read",
        "An exit and a growing stack do not wait for it. And to find the processes one would have to walk the tree.",
        "M20",
    ),
    Option(
        "An rwsem: walks share it, whoever changes the way to a PTE has it alone",
        "Walks do not disturb each other. All who disturb them take this lock already; they have it alone, as before.",
    ),
    Option(
        "Give the walk its mutex back",
        "Right in every order, and the queue of lesson 4 is back: a mutex keeps walks from each other, too.",
        "M27",
    ),
)

ask(
    "L07.r1",
    "From lesson 6: a NUMA fault moves a page that one process maps, and holds its mmap_sem. Why is that not enough?",
    Option("Another thread may write the page meanwhile", "It would meet the migration entry, and sleep.", "M17"),
    Option(
        "The tree is the family's; it changes under other locks, or under a shared one",
        "Whoever is in the tree is on the walk's way, whether it maps the page or not.",
    ),
    Option("The mmap_sem is a sleeping lock", "That is of no matter here: it is held while the walk is made.", "M6"),
)

ask(
    "L07.r2",
    "From lesson 5: what does the anon_vma lock give that a reference to the anon_vma does not?",
    Option(
        "That links stay allocated, and stay where they are",
        "Who frees a link or moves it holds the lock alone. The count of the anon_vma says nothing about links.",
    ),
    Option("That the anon_vma stays allocated", "That is what the reference gives.", "M10"),
    Option("That the PTEs keep their values", "Those change under the ptl.", "M4"),
)
