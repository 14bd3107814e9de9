"""What the gates of lesson 12 ask."""

from __future__ import annotations

from course.kit import Option, ask


def known() -> None:
    """Importing this module has made its questions known."""


ask(
    "L12.a",
    "Linux 6.1 and 6.12 were booted on an emulated machine with two nodes, and recorded while a call moved four pages "
    "beside three threads that spin. The model ran the same. What have recording and model in common?",
    Option(
        "Nothing to the letter: a kernel does far more than a model",
        "It does, under other names. What both have can be counted in both.",
        "M36",
    ),
    Option(
        "Each count, and the order of the events",
        "Walks, locks, flushes, interrupts, copies, and which comes after which.",
    ),
    Option(
        "Counts, order, and the times up to a few per cent",
        "The recording's clock is an emulation's, with a tracer running; the model's is a table of costs.",
        "M38",
    ),
    Option(
        "The counts; the order is luck on real CPUs",
        "Which of three CPUs answers first is luck. That a flush comes before the copy is not.",
        "M2",
    ),
    look="Which of these did the tables show?",
)

ask(
    "L12.b",
    "Linux 6.12 unmaps four pages, then sends one flush. Three threads write these pages meanwhile. Until when does "
    "such a thread go on writing to a page whose PTE is a migration entry already?",
    Option("No longer than the PTE is there", "Its CPU does not look at the PTE: it has the page in its TLB.", "M14"),
    Option(
        "Until the first of the three CPUs is interrupted", "Each CPU drops its own entries, when it is told to.", "M15"
    ),
    Option("Until its own CPU takes the interrupt", "Then its TLB is empty, and its next write faults and waits."),
    Option(
        "Until the page is copied", "A write after the copy would be lost: the mover waits for every answer.", "M18"
    ),
)

ask(
    "L12.c",
    "The process once ran on CPU 2 as well, where nothing of it runs now: that CPU is idle, in lazy mode. Linux 6.12 "
    "moves 512 of its pages from CPU 0. How many flushes, and how many interrupts?",
    Option(
        "512 flushes, no interrupt: as if it had never been there",
        "Its mask still names CPU 2. So a flush may concern another CPU, and is put off for the batch.",
        "M32",
    ),
    Option(
        "1 flush, 1 interrupt",
        "A lazy CPU is left alone. It flushes when it runs the process again.",
        "M30",
    ),
    Option("1 flush, no interrupt", "Put off because of the mask, and then nobody needs to be interrupted."),
    Option(
        "No flush: nobody else uses the pages",
        "CPU 0 itself has used them, and its TLB must forget them too.",
        "M31",
    ),
)

ask(
    "L12.r1",
    "From lesson 10: 512 pages, three threads that spin. What does a batch leave as it was?",
    Option("The interrupts", "From 1,536 to 3: these are what it is for.", "M24"),
    Option(
        "The walks and the locks: 512 each way", "A batch saves flushes. Each page is still found, unmapped and mapped."
    ),
    Option("Nothing: all of it is done once for the batch", "Only the flush is.", "M24"),
)

ask(
    "L12.r2",
    "From lesson 7: a recording shows 4,000 calls of a function, each with the mmap_sem held. What follows?",
    Option("All callers hold it", "All that were recorded. Reclaim did not run that day.", "M21"),
    Option(
        "These callers held it", "A recording shows what happened. What never happens has to be argued, or checked."
    ),
    Option("Nothing: a trace may lie", "It shows what happened. It does not show what else can.", "M36"),
)
