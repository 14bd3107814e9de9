"""What the gates of lesson 11 ask."""

from __future__ import annotations

from course.kit import Option, ask


def known() -> None:
    """Importing this module has made its questions known."""


ask(
    "L11.a",
    "Linux 3.7 with one change: a call unmaps all its pages, flushes them in one round, and then copies. The walks "
    "keep their mutex. Eight threads move pages of one process. How many pages a second are moved?",
    Option(
        "Nearly as many as in Linux 6.3: the interrupts were what took the time",
        "There are as few interrupts as in 6.3. But each walk still waits for its turn.",
        "M24",
    ),
    Option("Not many more than in Linux 3.7: the walks come one at a time", "What stopped it is still there."),
    Option(
        "Fewer: the mutex is held over a whole batch",
        "It is taken and given back in each walk, to keep the tree. What is held over a batch are page locks.",
        "M4",
    ),
    Option(
        "None: who holds many page locks must not wait for a mutex",
        "Nobody who has the mutex waits for a page lock, so that its turn comes.",
        "M34",
    ),
    look="What did the race show of batch_2mb, which is this change?",
)

ask(
    "L11.b",
    "A design of yours passes every order of steps of eight worlds. What do you know?",
    Option("That it is right", "That is more than was tried: there are other worlds.", "M3"),
    Option(
        "That it is as good as Linux 3.8, which passes them too",
        "Two kernels that pass the same worlds may differ in the next one.",
        "M21",
    ),
    Option("That no order of steps of these worlds goes wrong", "That, and nothing about worlds that were not tried."),
    Option(
        "Little: with other timing it may fail in one of the eight tomorrow",
        "Whatever the timing, it makes one of the orders of steps, and all of them were tried.",
        "M3",
    ),
)

ask(
    "L11.r1",
    "From lesson 6: the mover holds the mmap_sem of its process to read, and walks without the anon_vma lock. What can "
    "take a VMA out of the tree meanwhile?",
    Option("Nothing: the mmap_sem is held", "Held to read. A stack grows under the read side as well.", "M20b"),
    Option("A relative only, whose mmap_sem is another one", "A relative can; so can a thread next door.", "M20"),
    Option("A stack of the same process that grows, or a relative", "Neither has to wait for a reader."),
)

ask(
    "L11.r2",
    "From lesson 4: eight threads queue for one mutex that each holds for a short time. Why do they move fewer pages "
    "than one thread alone?",
    Option("Each hand-over wakes a sleeper, which takes longer than the work", "So the lock is idle most of the time."),
    Option("Those who wait use up the CPUs", "They sleep. Their CPUs are idle.", "M6"),
    Option("The profile says that the lock takes nearly all of the time", "It counts sleeps, and no time.", "M7"),
)
