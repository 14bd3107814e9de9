"""A test of twelve items, to be written before the course and after it, in two forms.

Each item is about one misconception, and says so to the instructor only; both forms ask it in different clothes.  Half
of a class writes form A before and B after, the other half the reverse, so that no one meets a question twice.  Nothing
is validated: no student has written it yet.  ``python -m course.refresh`` writes the two forms and the key as pages.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple

from course.kit import Option
from course.misconceptions import BANK

HERE: Final = Path(__file__).parent
LETTERS: Final = "ABCD"


class Form(NamedTuple):
    """A question and its options, of which the one without a tag is right."""

    prompt: str
    options: tuple[Option, ...]

    @property
    def right(self) -> str:
        """The letter of the right option."""
        return LETTERS[[it.tag for it in self.options].index("")]


class Item(NamedTuple):
    """One misconception, probed twice; *lesson* is where the course meets it."""

    tag: str
    lesson: int
    a: Form
    b: Form

    def asked(self, letter: str) -> Form:
        """What form A or B asks."""
        return self.a if letter == "A" else self.b


ITEMS: Final[tuple[Item, ...]] = (
    Item(
        "M12",
        1,
        Form(
            "The kernel moves a page to another node while a program holds a pointer into it. Afterwards the pointer",
            (
                Option("must be changed by the kernel", "The kernel knows no pointers of programs.", "M12"),
                Option("is as good as before", "The address stays; the PTE behind it says another frame."),
                Option("works until the program is scheduled again", "Nothing about it ends at a switch.", "M12"),
            ),
        ),
        Form(
            "Which of these differ before and after a page has been moved to another node?",
            (
                Option("the frame that holds it", "That is what moving is."),
                Option("its virtual address", "The program would notice; it must not.", "M12"),
                Option("both", "The address is the program's name for it, and stays.", "M12"),
            ),
        ),
    ),
    Item(
        "M13",
        2,
        Form(
            "A process has written a page and forked twice. Nobody has written since. To move it the kernel changes",
            (
                Option("one PTE", "Each of the three has page tables of its own.", "M13"),
                Option("one PTE, and the children copy it at their next fault", "Their PTEs are present.", "M13"),
                Option("three PTEs", "One in the page tables of each process that maps the frame."),
            ),
        ),
        Form(
            "Why does the kernel walk over several VMAs to move one page?",
            (
                Option("several processes may map the frame", "Each has a PTE of its own to be replaced."),
                Option("a page is larger than a VMA", "A VMA is a range of whole pages.", "M13"),
                Option("it looks for the one that holds the PTE", "There may be one PTE in each of them.", "M13"),
            ),
        ),
    ),
    Item(
        "M14",
        9,
        Form(
            "CPU 0 sets a PTE to zero. A thread of the same process on CPU 1 has used the page before. Its next write",
            (
                Option("faults", "CPU 1 does not look at the PTE while its TLB has an entry.", "M14"),
                Option("may still go to the old frame", "Its TLB holds a copy, and nobody has told it."),
                Option("waits until CPU 0 is done", "The hardware makes nobody wait.", "M14"),
            ),
        ),
        Form(
            "When has the last CPU stopped using a frame whose PTE was cleared?",
            (
                Option("when each has dropped its TLB entry", "Until then an entry is as good as the PTE was."),
                Option("as soon as the PTE is cleared", "A TLB does not follow the page table.", "M14"),
                Option("when the page-table lock is released", "No CPU takes that lock to use its TLB.", "M14"),
            ),
        ),
    ),
    Item(
        "M15",
        9,
        Form(
            "A process runs on four CPUs. One of them drops its own TLB entry of a page. How many may still have one?",
            (
                Option("none", "Each CPU has a TLB of its own.", "M15"),
                Option("those on the same node", "A node has no TLB.", "M15"),
                Option("three", "The others must be interrupted to drop theirs."),
            ),
        ),
        Form(
            "What does it cost to take one page away from a process that runs on eight CPUs?",
            (
                Option("one instruction", "That reaches the CPU that executes it.", "M15"),
                Option("an interrupt to seven CPUs, and a wait for their answers", "Each drops its own entry."),
                Option("nothing, the hardware keeps TLBs equal", "It keeps caches equal, and TLBs not.", "M15"),
            ),
        ),
    ),
    Item(
        "M18",
        1,
        Form(
            "A tidy order: copy the page, install the PTE of the copy, flush. What is wrong with it?",
            (
                Option("nothing, if it is fast", "However fast: others run in between.", "M18"),
                Option("a write between copy and flush is lost", "It goes to the old frame, which is dropped."),
                Option("a read between copy and flush is wrong", "The old frame is as right as its copy.", "M18"),
            ),
        ),
        Form(
            "Before the kernel copies a page that is in use, it must",
            (
                Option("see to it that nobody can write the old frame", "Else the copy may be old when it is done."),
                Option("stop the process", "It runs on; who wants this page waits.", "M18"),
                Option("do nothing: it swings the PTE after the copy", "Writes in between are lost.", "M18"),
            ),
        ),
    ),
    Item(
        "M17",
        1,
        Form(
            "While a page is being moved, a thread wants to read it. The thread",
            (
                Option("sleeps until the page is mapped again", "It finds a migration entry: it waits for the page."),
                Option("cannot want it: its process is stopped", "Nothing stops it.", "M17"),
                Option("gets a fresh page of zeroes", "The entry in the PTE says that there is a page.", "M17"),
            ),
        ),
        Form(
            "Why does the kernel put a migration entry into the PTE, and not nothing?",
            (
                Option("so that the page is not freed", "References see to that.", "M17"),
                Option("to remember the new frame", "It names the old one; the new one may not be there yet.", "M17"),
                Option("a thread may want the page, and must then wait for it", "Nothing would mean: no page here."),
            ),
        ),
    ),
    Item(
        "M7",
        4,
        Form(
            "A profile of context switches says 90 % of one program's come from a mutex. From that alone you know that",
            (
                Option("90 % of its CPU time is spent at the mutex", "Switches are counted here, not time.", "M7"),
                Option("nine of ten times that it gave up a CPU it was at the mutex", "That is what was counted."),
                Option("it would run ten times as fast without", "It may hardly ever give up a CPU.", "M8"),
            ),
        ),
        Form(
            "A thread sleeps for a mutex for one second. A profile of CPU time shows of that second",
            (
                Option("nearly nothing", "Who sleeps uses no CPU time; count switches or waits instead."),
                Option("one second at the mutex", "That would be a profile of waiting.", "M6"),
                Option("one second in the owner", "The owner is shown for what it does itself.", "M7"),
            ),
        ),
    ),
    Item(
        "M8",
        8,
        Form(
            "A lock is held in two places, for half of the waiting each. You take it out of one. Throughput at most",
            (
                Option("doubles", "The other place still lets one in at a time."),
                Option("grows with the number of threads", "Not while the other place is as it was.", "M8"),
                Option("stays", "Half of what everybody queues for is gone.", "M8"),
            ),
        ),
        Form(
            "A mutex becomes a lock that readers share. Sixty-four readers are now",
            (
                Option("64 times as fast", "They still share what else there is to wait for.", "M8"),
                Option(
                    "slower than with no lock, faster than with the mutex",
                    "The count that they share moves between CPUs.",
                ),
                Option("as fast as with no lock", "Taking it is still a write to one shared word.", "M8"),
            ),
        ),
    ),
    Item(
        "M4",
        5,
        Form(
            "Function f holds lock L while it changes x. Function g changes x and holds M. Is x protected?",
            (
                Option("yes: both functions are locked", "Nobody holds one lock that the other also needs.", "M4"),
                Option("yes, by two locks", "Two locks that are never held together exclude nobody.", "M5"),
                Option("no", "Some lock has to be held at every change."),
            ),
        ),
        Form(
            "How do you find out which lock protects a field?",
            (
                Option("look at which locks are held at every access of it", "What is held each time protects it."),
                Option("read which lock the function that changes it takes", "Other functions change it too.", "M4"),
                Option("take the lock that bears its name", "Names say what was meant.", "M26"),
            ),
        ),
    ),
    Item(
        "M20b",
        6,
        Form(
            "A thread holds mmap_sem for reading. Meanwhile the VMAs of its process",
            (
                Option("may change in one way: a stack may grow", "A fault takes it for reading, and grows a stack."),
                Option("cannot change", "A fault below a stack lets it grow, and holds it for reading too.", "M20b"),
                Option("change only if it has a single thread", "A single thread does not fault meanwhile.", "M20"),
            ),
        ),
        Form(
            "You hold your mmap_sem to read, and go through the tree of VMAs that map your page. You are safe from",
            (
                Option("everything", "Relatives have an mmap_sem of their own.", "M20"),
                Option("all changes of VMAs of your process", "A stack grows under the lock held for reading.", "M20b"),
                Option("munmap by a thread of your process", "That needs your mmap_sem to write."),
            ),
        ),
    ),
    Item(
        "M3",
        6,
        Form(
            "A change of locking has passed 300 random runs. You may say that",
            (
                Option("it is right", "No number of runs says so.", "M3"),
                Option("it fails in fewer than about one run in a hundred", "That is what 300 say, at 95 %."),
                Option("it fails never on this machine", "It did not, 300 times.", "M3"),
            ),
        ),
        Form(
            "A checker tried every order of a small scenario and found no violation. You may say that",
            (
                Option("the code is right", "There are other scenarios.", "M3"),
                Option(
                    "it is as likely right as after a million runs", "In this scenario nothing is left to chance.", "M3"
                ),
                Option("no order of this scenario breaks the rules that were checked", "Neither more nor less."),
            ),
        ),
    ),
    Item(
        "M11",
        10,
        Form(
            "A batch holds the locks of some pages and sleeps for one more. Another batch does the same. This",
            (
                Option("is slow, but ends", "Neither gives back what the other waits for.", "M11"),
                Option("can stop both for ever", "Each may hold the page that the other waits for."),
                Option("cannot deadlock, for there is one kind of lock", "Two locks of a kind are enough.", "M11"),
            ),
        ),
        Form(
            "A batch of 512 pages instead of one at a time saves flushes. What does it cost?",
            (
                Option("a thread that wants one of them waits longer", "It waits until the batch is mapped again."),
                Option("nothing", "The pages are out of reach for longer.", "M24"),
                Option("more interrupts", "There are fewer: one round for all.", "M24"),
            ),
        ),
    ),
)


def form(letter: str) -> str:
    """Form A or B as a page for students: no tag, no answer."""
    lines = [
        f"# Form {letter}",
        "",
        "Twelve questions, one answer each. If you do not know, leave it open: a guess tells nobody anything.",
        "",
    ]
    for number, item in enumerate(ITEMS, 1):
        asked = item.asked(letter)
        lines += [f"**{number}.** {asked.prompt}", ""]
        lines += [f"- {mark}) {option.text}" for mark, option in zip(LETTERS, asked.options, strict=False)]
        lines.append("")
    return "\n".join(lines)


def key() -> str:
    """The key of both forms, with the misconception behind each wrong answer."""
    lines = [
        "# Key and marking notes",
        "",
        "One point for each right answer; none is taken away. Half of the class writes form A before the course and",
        "form B after it, the other half the reverse. Count per item, not per student: what matters is which",
        "misconception has gone, and which has come. Below about 15 students the counts say little. No student has",
        "written these forms yet; an item that nearly all get right before is to be replaced.",
        "",
        "| item | misconception | lesson | form A | form B |",
        "| ---: | --- | ---: | --- | --- |",
    ]
    for number, item in enumerate(ITEMS, 1):
        lines.append(f"| {number} | {item.tag}: {BANK[item.tag]} | {item.lesson} | {item.a.right} | {item.b.right} |")
    for letter in "AB":
        lines += ["", f"## Form {letter}: what each answer says", ""]
        for number, item in enumerate(ITEMS, 1):
            asked = item.asked(letter)
            lines.append(f"**{number}.** {asked.prompt}")
            lines.append("")
            for mark, it in zip(LETTERS, asked.options, strict=False):
                lines.append(f"- {mark}) {it.text}: *{f'not so ({it.tag})' if it.tag else 'right'}.* {it.why}")
            lines.append("")
    return "\n".join(lines).rstrip() + "\n"


#: The pages and what makes them.
PAGES: Final = {
    HERE / "prepost_a.md": lambda: form("A"),
    HERE / "prepost_b.md": lambda: form("B"),
    HERE / "prepost_key.md": key,
}
