"""What the gates of lesson 10 ask."""

from __future__ import annotations

from course.kit import Option, ask


def known() -> None:
    """Importing this module has made its questions known."""


ask(
    "L10.a",
    "Linux 6.3. One call moves 64 pages in batches while three threads go on writing to them. A batch is unmapped, "
    "flushed once, then its pages are copied and mapped again. What comes of it if a batch grows from 1 page to 64?",
    Option(
        "Fewer interrupts and more pages a second, and nobody pays for it",
        "Who wants a page that has been unmapped waits until its turn has come: with a larger batch, longer.",
        "M24",
    ),
    Option(
        "One interrupt for each batch; nothing else changes",
        "One flush for each batch, which may interrupt each of the three CPUs.",
        "M30",
    ),
    Option(
        "Fewer interrupts; nobody waits, because an unmapped page is not wanted",
        "The writers do not know that it has been unmapped. They come to it, fault, and sleep.",
        "M17",
    ),
    Option(
        "Fewer interrupts and more pages a second; the longest wait for a page grows",
        "The pages of a batch are on their way together, from the first unmapping to the last copy.",
    ),
    look="Which of these did the table show?",
)

ask(
    "L10.b",
    "As first merged for 6.3, a batch never slept for a second page lock. But with its pages locked it did wait until "
    "one more page had been written out. Nobody in this story takes any lock but page locks. Can it hang?",
    Option(
        "No: a deadlock needs two kinds of lock, and here is one",
        "Two locks of one kind are enough, or one lock and one thing to wait for.",
        "M11",
    ),
    Option(
        "No: the end of writing-out is no lock, and comes by itself",
        "Somebody has to bring it about. Whoever that is may need something first.",
        "M33",
    ),
    Option(
        "No: the benchmarks of this change had run without a hang",
        "They had no such writer. Under another load it hung within hours.",
        "M3",
    ),
    Option(
        "Yes: if whoever writes that page out needs the lock of one in the batch",
        "Each waits for what the other will not do first.",
    ),
)

ask(
    "L10.c",
    "Linux 6.12, booted and recorded. One call moves 512 pages; three threads of the process spin on other CPUs and "
    "touch none of them. How many interrupts do those three CPUs get?",
    Option(
        "None: their TLBs have nothing of these pages",
        "So it is, but the kernel does not know it: it asks every CPU on which the process runs.",
        "M32",
    ),
    Option("1: there is one flush", "There is one flush, and it interrupts each of the three CPUs.", "M30"),
    Option("3: one for each CPU", "One flush for the 512 pages, which each of the three CPUs answers."),
    Option(
        "1,536: each page must be flushed before it is copied, one by one",
        "It must be flushed before, but nothing says that it is alone in that flush.",
        "M18",
    ),
)

ask(
    "L10.r1",
    "From lesson 9: the pages of a batch have been unmapped, and not flushed yet. One of them can be written to. By "
    "when must every CPU have dropped it?",
    Option("Before it is copied", "What is written to the old frame after the copy is lost."),
    Option(
        "Before it is mapped again; the copy may come sooner",
        "That is enough for a page that is only read. A write between copy and flush is lost.",
        "M18",
    ),
    Option("It has dropped it: the PTE is gone", "A CPU that has it in its TLB does not look at the PTE.", "M14"),
)

ask(
    "L10.r2",
    "From lesson 5: until a page is mapped again, the mover has a reference to its anon_vma (page_get_anon_vma), and "
    "not its lock. What does that reference keep?",
    Option("The anon_vma itself", "It is not freed. What hangs on it may change and go."),
    Option("The anon_vma and its tree", "A relative may exit, and take its links out of the tree.", "M10"),
    Option("The VMAs in which the page is mapped", "They belong to their processes, which may unmap them.", "M10"),
)
