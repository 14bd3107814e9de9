"""What the gates of the lessons ask.  They stand here so that nobody reads the reasons before answering."""

from __future__ import annotations

from course.kit import Option, ask


def known() -> None:
    """Importing this module has made its questions known."""


# --- 01: moving a page ---------------------------------------------------------------------------------------------

ask(
    "L01.a",
    "The migrator is stopped four times: before it unmaps, before it copies, before it remaps, at the end. "
    "What does the PTE of page 0 say each time?",
    Option(
        "old frame, old frame, old frame, new frame",
        "Copy, then swing the pointer: it looks tidy, but a write that comes between the two is lost.",
        "M18",
    ),
    Option(
        "old frame, migration entry, migration entry, new frame",
        "First nobody may use the page, then it is copied, then it is mapped again.",
    ),
    Option(
        "old frame, migration entry, new frame, new frame",
        "Copying and mapping are two steps; between them other threads run, and must not find a half-filled frame.",
        "M1",
    ),
    Option(
        "always the same: the program's address does not change",
        "The address indeed does not change. The frame behind it does, and the PTE is where that is written down.",
        "M12",
    ),
    look="What did the PTE say at the four stops?",
)

ask(
    "L01.b",
    "CPU 1 has used page 0. The migrator on CPU 0 has cleared the PTE, and its flush has not reached CPU 1. "
    "Now the worker on CPU 1 writes page 0. What happens?",
    Option(
        "It faults, because there is no PTE any more",
        "CPU 1 does not look at the PTE: its TLB holds a copy, and nobody has told it that the copy is old.",
        "M14",
    ),
    Option(
        "Its write goes into the old frame",
        "The TLB entry still says so. That is allowed until the flush, because the copy comes after the flush.",
    ),
    Option(
        "CPU 0 has flushed its TLB, so CPU 1 fetches the PTE again",
        "Each CPU has a TLB of its own; CPU 0 can drop its own entries only, and must interrupt CPU 1 for the rest.",
        "M15",
    ),
    Option(
        "Its write goes into the new frame",
        "The new frame is empty and mapped nowhere. Before the remap no CPU can find it.",
        "M12",
    ),
)

ask(
    "L01.c",
    "After the flush the worker touches page 0 again, while the PTE is a migration entry. What does the worker do?",
    Option(
        "It is killed: the page is not mapped",
        "Not mapped and not wanted are two things. The entry says that the page is on its way, not that it is gone.",
        "M17",
    ),
    Option(
        "It asks again and again until the page is back",
        "That would burn CPU time. The entry names a page lock, and a thread can sleep on that.",
        "M6",
    ),
    Option(
        "It sleeps until the old page is unlocked, then tries again",
        "migration_entry_wait: the migrator holds the old page's lock to the very end, so its release says when.",
    ),
)

ask(
    "L01.r1",
    "Before this course: a program holds a pointer to page 0, and the kernel moves the page. What of the pointer?",
    Option("It must be changed", "It holds a virtual address, and that stays.", "M12"),
    Option("Nothing: it stays right", "Virtual addresses belong to the program; frames belong to the kernel."),
    Option("It is right again when the page has moved back", "The page need not move back for that.", "M12"),
)

ask(
    "L01.r2",
    "Before this course: a CPU finds no TLB entry for an address, but there is a present PTE. What happens?",
    Option(
        "A page fault", "The MMU walks the page table by itself first; only if that fails the kernel is asked.", "M16"
    ),
    Option("The MMU reads the PTE and goes on", "A TLB miss costs a walk of the page table, and no more."),
    Option("The kernel fills the TLB", "On x86 the hardware does that without the kernel.", "M16"),
)

# --- 04: the mutex bottleneck --------------------------------------------------------------------------------------

ask(
    "L04.a",
    "96.43 % of what does the profile in the mail count?",
    Option(
        "CPU time that is spent in the scheduler",
        "The event that was sampled is sched_switch. A sleeping thread uses no CPU time, however long it sleeps.",
        "M7",
    ),
    Option(
        "Moments at which a thread gave up its CPU",
        "perf_trace_sched_switch is the tracepoint's own function: each sample is one switch, with the stack it had.",
    ),
    Option(
        "Time that threads spend spinning for the mutex",
        "Who spins does not switch, so the profile cannot see it. These threads went to sleep.",
        "M6",
    ),
    look="The run's profile has the mail's form. What does one of its samples stand for?",
)

ask(
    "L04.b",
    "How often is the anon_vma's mutex taken to move 2 MiB, page by page, if every page moves at the first try?",
    Option("Once: there is one anon_vma", "It protects the tree during a walk, and is given back after each.", "M4"),
    Option("512 times: once a page", "Each page has two walks: one that unmaps it, one that maps it again.", "M1"),
    Option("1,024 times: twice a page", "512 pages, each with an unmap walk and a remap walk."),
    Option("Never by two threads: each page has its own", "The anon_vma belongs to the whole region.", "M19"),
)

ask(
    "L04.c",
    "The mutex is made an rwsem, which both walks take for reading. "
    "How much do eight threads, each with pages of its own, move compared with one?",
    Option("Eight times as much", "Other things are shared too: every flush interrupts every CPU.", "M8"),
    Option(
        "More, but far less than eight times as much",
        "The walks no longer wait for each other. What every flush costs the other CPUs stays, and grows.",
    ),
    Option("As much: the walks still exclude each other", "Readers share: walkers need not wait for walkers.", "M4"),
    Option("Less than one: a lock with eight users is slow", "That was the mutex, with its sleeping and waking.", "M6"),
)

ask(
    "L04.r1",
    "From lesson 1: in which order?",
    Option("copy, unmap, flush, remap", "Writes that come between copy and flush are lost.", "M18"),
    Option("unmap, flush, copy, remap", "After the flush nobody can write the old frame, so the copy is complete."),
    Option("unmap, copy, flush, remap", "Between unmap and flush a TLB entry still leads into the old frame.", "M14"),
)

ask(
    "L04.r2",
    "From lesson 1: what keeps a thread from using a page while it is unmapped?",
    Option("The anon_vma's lock", "A user thread that touches a page takes no such lock.", "M4"),
    Option("The migration entry, on which it sleeps", "It waits for the old page's lock."),
    Option("Nothing: nobody wants it then", "Threads run on; whoever touches it faults.", "M17"),
)

# --- 06: the unlocked walk -----------------------------------------------------------------------------------------

ask(
    "L06.a",
    "A worker moves a page of the main thread's stack; the stack grows meanwhile. Both hold the mmap_sem of their "
    "process, as a page fault and move_pages do. What of the walk that puts the PTE back, without its lock?",
    Option(
        "It finds the PTE: while the mmap_sem is held no VMA changes",
        "Both hold it to read, at the same time. What one of them may change under it, changes under the other too.",
        "M20b",
    ),
    Option(
        "It finds the PTE: it only reads the tree, and the PTE has a lock of its own",
        "The ptl comes too late: who reads a tree that is being changed may never get to the PTE.",
        "M25",
    ),
    Option(
        "It can miss the PTE: the VMA may be out of the tree at that moment",
        "To grow, a VMA is taken out, changed and put back. What keeps walks away meanwhile is the anon_vma's lock.",
    ),
    Option(
        "It can come too late: without the lock the anon_vma may be freed",
        "The mail counts on the mmap_sem for that. But it is the mover's reference that keeps the anon_vma.",
        "M10",
    ),
    look="What did the run show that goes wrong?",
)

ask(
    "L06.b",
    "Each thread makes about a hundred steps at a stretch, and chance says who is next. In how many of 900 such runs "
    "does the walk miss the PTE?",
    Option(
        "In about half: either the walk is first, or the stack",
        "Both orders pass. Only a walk that falls between two particular steps of the other thread goes wrong.",
        "M2",
    ),
    Option("In a handful", "The window is a few steps wide, and both threads must stand at the right place for it."),
    Option(
        "In none, so the patch is good enough",
        "A set of runs without a failure bounds how often it fails, and says nothing of whether it can.",
        "M3",
    ),
)

ask(
    "L06.c",
    "A fault next door, a child that exits, one that calls mprotect, khugepaged: the patch fails beside each. What "
    "does the anon_vma lock give a walk, in all of these cases?",
    Option(
        "The anon_vma stays allocated",
        "A reference does that, and the mover has one. The links in the tree have none: they are freed outright.",
        "M10",
    ),
    Option(
        "The interval tree stays whole, and that is all",
        "The last row of the table below changes no tree. It hides a page table, and relies on the lock all the same.",
        "M26",
    ),
    Option(
        "The PTEs do not change",
        "Faults change PTEs all the time, under the ptl. The walk takes that lock for each PTE.",
        "M4",
    ),
    Option(
        "Every PTE of the page can be reached: tree, links, bounds, page tables",
        "Whoever takes away a piece of the way, even for a moment, holds the lock; so a walk under it misses nothing.",
    ),
)

ask(
    "L06.r1",
    "From lesson 4: moving a page takes the anon_vma lock twice. How often is it taken under the patch?",
    Option("Never: that is what the patch is for", "It takes the lock from one of the two walks only.", "M8"),
    Option(
        "Once", "The walk that takes the PTEs away, try_to_unmap, still takes it. The mail calls that the next step."
    ),
    Option("Twice, but for a shorter time", "The walk that puts the PTEs back takes no lock at all.", "M1"),
)

ask(
    "L06.r2",
    "From lesson 1: a thread meets a migration entry and sleeps on its page's lock. What if the entry was left behind, "
    "and the page is long unlocked?",
    Option("It goes on, with the old frame", "The entry is no mapping, and the old frame belongs to nobody.", "M12"),
    Option("The kernel looks the page up elsewhere", "There is nothing else: the entry was all it had.", "M17"),
    Option("The kernel stops with a BUG", "It checks that the page of a migration entry is locked, and this is not."),
)
