"""What the gates of lesson 3 ask."""

from __future__ import annotations

from course.kit import Option, ask


def known() -> None:
    """Importing this module has made its questions known."""


ask(
    "L03.a",
    "Two threads call this function for the same page, each on a CPU of its own. Can both take the page?",
    Option("No: a function of three lines runs as a whole", "Between two steps anybody may run.", "M1"),
    Option(
        "No: they take turns, and the first has taken it when the second looks",
        "Nobody sees to that. One may stand still between two lines while the other goes all the way.",
        "M2",
    ),
    Option(
        "Yes, if one stops between looking and taking",
        "What it has seen is old by then: the other looks too, and sees the same.",
    ),
    Option(
        "Only if both do the same step in the same instant",
        "The second may come much later, as long as the first has looked and not yet taken.",
        "M2",
    ),
    look="Did both take it? What did it need?",
)

ask(
    "L03.b",
    "Another run: each of the two threads moves a page of its own, and both need one anon_vma lock, a mutex. "
    "migrator-1 has it and was stopped; migrator-2 comes to it. What is migrator-2 then?",
    Option(
        "Runnable: it tries again whenever it is chosen",
        "Who waits for a mutex sleeps, and the scheduler cannot choose it before the lock is given back.",
        "M6",
    ),
    Option(
        "Running: it has a CPU to itself",
        "A thread that sleeps makes no steps, however many CPUs are free.",
        "M2",
    ),
    Option(
        "Blocked: it cannot be chosen until the lock is given back",
        "It is migrator-1 that has to go on. You had stopped that one: it is runnable.",
    ),
)

ask(
    "L03.c",
    "A tester lets the two threads of the level run in random order, about a hundred steps at a stretch. "
    "In how many of 300 runs do both take the page?",
    Option(
        "In about half: it depends on who is first",
        "Who is first makes no difference. One must be stopped between two particular steps.",
        "M2",
    ),
    Option("In a few", "The window is a step or two wide. A test seldom hits it; who runs long enough does."),
    Option(
        "In none, and then the function may stay as it is",
        "Even if none had: a test without a failure says how seldom it fails, and not that it never does.",
        "M3",
    ),
)

ask(
    "L03.r1",
    "From lesson 2: a frame is mapped by P and by a child of P. How does the kernel find both PTEs?",
    Option(
        "By the address, which is the same in both",
        "It need not be: after mremap the child has it elsewhere. The VMA's offset leads to the address.",
        "M12",
    ),
    Option("From the frame by its anon_vma and the AVCs to both VMAs", "And in each VMA it looks at the PTE."),
    Option("It finds P's, and the child faults later", "Then the child would go on using the old frame.", "M13"),
)

ask(
    "L03.r2",
    "From lesson 1: a thread touches a page that is on its way, and finds a migration entry. What is it then?",
    Option("Runnable: it faults again and again", "It sleeps on the page's lock, and is woken by the unlock.", "M6"),
    Option("Blocked, until the page is unlocked", "migration_entry_wait: the mover holds that lock to the end."),
    Option("Running: it goes on without the page", "The instruction that faulted cannot be skipped.", "M17"),
)
