"""Four demonstrations of ten minutes each, for a lecture that has no time for a lesson.

Each is a run that anybody can make again from its name, or numbers that a command prints.  The steps, the sentences
and the figures on the page are read off these runs, so that the page says what the screen will show.
``python -m course.refresh`` writes it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any, Final, NamedTuple

from course.batched import batch_lab
from sim import profile, replay, run
from sim.machine import Event
from sim.ops import Acquire, CopyPage, Free, HandleIpi, Release, TryAcquire, UserWrite, Xchg

PAGE: Final = Path(__file__).parent / "demos.md"


class Stop(NamedTuple):
    """A step at which to stop: the keys that lead there from the one before, how it is known, what to say or to ask."""

    keys: str
    finds: Callable[[Event], bool]
    say: str


class Demo(NamedTuple):
    """Ten minutes.

    Attributes:
        title, lesson: what it is about, and where the course has it at length.
        before: what to have done before the room fills.
        vote: what to ask first, with the answers to vote on; the right one is the last named.
        run: the run's name.
        stops: where to stop in it, in its order.
        ends: the kind of violation in which it ends.
        after: what to ask in the end, and the one change to try.
        fallback: without a projector.
        prints: a command, and what it prints, if there is more than the run.
    """

    title: str
    lesson: str
    before: str
    vote: tuple[str, ...]
    run: str
    stops: tuple[Stop, ...]
    ends: str
    after: str
    fallback: str
    prints: Mapping[str, Callable[[], str]] = {}


def _by(task: str, *kinds: type, word: str = "") -> Callable[[Event], bool]:
    """Whether a step is one of *task*, of one of *kinds*, about something whose name has *word* in it."""
    return lambda it: it.task.name == task and isinstance(it.op, kinds) and word in repr(it.op)


def _sleeps() -> str:
    """The profile of lesson 4, in three lines."""
    it = profile(run("numa02", "mutex_v37", threads=8, pages=8))
    branches = "\n".join(f"  {branch.share:.2f} % of these below {branch.site}" for branch in it.branches)
    return f"{it.share:.2f} % of {it.switches} context switches on an anon_vma lock (simulated)\n{branches}"


def _convoy() -> str:
    """Pages a second with more and more threads."""
    rows = (
        f"{threads:2} thread{'s' * (threads > 1)}  "
        + "  ".join(
            f"{name} {run('numa02', name, threads=threads, pages=8).pages_per_second:>9,.0f} pages/s"
            for name in ("mutex_v37", "rwsem_v38")
        )
        for threads in (1, 4, 8)
    )
    return "\n".join(rows) + "\n(simulated)"


DEMOS: Final = (
    Demo(
        "The lost write",
        "lesson 9; lesson 1 for the order of the parts",
        "Choose lecture mode with `f`, and leave the run at its start with `Home`.",
        (
            ("A page is unmapped, copied, and then the TLBs are flushed; the PTE was gone all the time. Can a write "
            "be lost?"),
            "No: the PTE is gone, so nobody can write (M14)",
            "No: the write goes to the copy (M18)",
            "Yes: a CPU writes through its TLB until it is told to flush",
        ),
        "write_during_copy?passes=2 batch_flush_after_copy a79bda41",
        (
            Stop("c", _by("mover", Xchg, word="pte"), "Now the PTE is gone. Who can still write?"),
            Stop("c c", _by("mover", CopyPage), "What is in the new frame now, and what will be in it tomorrow?"),
            Stop("→ → → →", _by("writer", UserWrite), "Where did this go? Look at f0, not at the page table."),
            Stop("→", _by("ipi@cpu1", HandleIpi), "The flush comes now. Too late by how many steps?"),
        ),
        "lost write",
        "“Where would you put the flush?” Then show the kernel that has it there: the same world under `mutex_v37` "
        "has no "
        "violation in any order (`python -m sim check write_during_copy --variant mutex_v37`).",
        "Three students are CPU 0, CPU 1 and the page table. CPU 1 has a card with “p0 is in f0” and writes on the "
        "sheet f0 "
        "until somebody takes the card away. Let CPU 0 copy the sheet first.",
    ),
    Demo(
        "The convoy, and what a profile counts",
        "lesson 4",
        "Run the two commands once, so that their files and numbers are there; open the lanes in the browser.",
        (
            ("96.43 % of the context switches of this program are at one lock. What part of its time does the lock "
            "take?"),
            "96.43 %: that is what it says (M7)",
            "Most of it: who waits burns its CPU (M6)",
            "One cannot tell from this: sleeps are counted, and no time",
        ),
        "two_migrators?passes=2 mutex_v37 a42b32a10da57b24cb57",
        (
            Stop("l l l l l", _by("migrator-1", TryAcquire, word="A_heap"), "The first has it. What does the second "
            "do now?"),
            Stop("l l l l l", _by("migrator-2", TryAcquire, word="A_heap"), "It wants it, and sleeps. Is its CPU "
            "busy?"),
            Stop("l l l", _by("migrator-1", Release, word="A_heap"), "Given back. Until when does the other not "
            "run?"),
        ),
        "",
        "“Three mutexes in place of one would be what?” and then “What would you ask the author of the mail?”: the "
        "number of "
        "samples, whether the mutex may spin in this configuration, how long a walk holds it.",
        "Eight students, one pen. Each writes one word, hands the pen to a student who has closed his eyes, and "
        "wakes him. "
        "Time ten words; then time one student who writes them all.",
        {
            "python -m sim profile numa02 --variant mutex_v37 --threads 8 --pages 8": _sleeps,
            "python -m sim sweep numa02 variant=mutex_v37,rwsem_v38 threads=1,4,8 pages=8": _convoy,
            "python -m vizlib lanes numa02 --variant mutex_v37 --threads 4 --pages 8 -o lanes.html": lambda: (
                "a row a thread: dashed while it waits, and never two that hold the lock"
            ),
        },
    ),
    Demo(
        "The patch that looked clean, and the child that exits",
        "lessons 6 and 7",
        "Choose lecture mode with `f`. Have `python -m sim check numa_only --variant rfc_remap_unlocked` typed, not "
        "run.",
        (
            ("The walk that maps a page again takes no lock any more; all who move pages hold the mmap_sem. Would you "
            "merge it?"),
            "Yes: while the mmap_sem is held no VMA goes away (M20)",
            "Yes: it only reads the tree (M25)",
            "Yes: the mover has a reference to the anon_vma (M10)",
            "No: somebody else may change the tree, who holds another mmap_sem or none",
        ),
        "relative_exits?passes=2 rfc_remap_unlocked a92b37a",
        (
            Stop("c", _by("mover", Xchg, word="pte"), "The mover unmaps, under the lock; so far all is well."),
            Stop("l l l l l l l l", _by("child", Acquire, word="A_heap"), "The child takes the very lock that the "
            "walk has not. Whose "
                 "mmap_sem does the mover hold?"),
            Stop("End ←", _by("child", Free, word="avc"), "The link is freed. Where does the walk stand?"),
        ),
        "use after free",
        "“What would you have to hold to stop this child?” Let them say “its mmap_sem”, and then show that an exit "
        "takes "
        "none (mm/mmap.c:2287).",
        "Hold hands in a row: that is the tree. One student walks along the row with closed eyes, from hand to hand; "
        "one in "
        "the row leaves without a word.",
    ),
    Demo(
        "The batch: cheaper, slower for some, and a hang",
        "lesson 10",
        "Open lesson 10 in JupyterLab, run its first two cells, and have an empty cell with `batch_lab(` at the end.",
        (
            "One flush for 512 pages in place of 512. What does it cost?",
            "Nothing: fewer interrupts are better for all (M24)",
            "Nothing: an unmapped page is not wanted (M17)",
            "Who wants a page of the batch waits until its turn has come",
        ),
        "batch_deadlock?passes=2 batch_v63_rc a94b",
        (
            Stop("l l l l l l l l l", _by("mover", TryAcquire, word="f0.PG_locked"), "The first page lock of the "
            "batch. How many more?"),
            Stop("End ←", lambda it: it.step == 94, "It has the page lock, and waits for the "
            "page's writer."),
        ),
        "deadlock",
        "Press `g`: an arrow from each to the other. “Who could let go?” Take what they say, and compare it with 6.3 "
        "as it landed: batches wait for nothing, and what "
        "was busy is moved one by one.",
        "Two students, two pens, each needs both and has one. Then: a batch is a student with twenty pens.",
        {"batch_lab(1, 4, 32, 64)   # in lesson 10": lambda: str(batch_lab(1, 4, 32, 64))},
    ),
)  # fmt: skip


def played(demo: Demo) -> tuple[Any, list[int]]:
    """The run of a demonstration, and the steps at which to stop.

    Raises:
        LookupError: if the run has no such step any more.
    """
    trace = replay(demo.run)
    steps, after = [], 0
    for stop in demo.stops:
        found = next((it.step for it in trace.events if it.step > after and stop.finds(it)), 0)
        if not found:
            raise LookupError(f"{demo.title}: the run {demo.run} has no step for: {stop.say}")
        steps.append(found)
        after = found
    return trace, steps


def pressed(keys: str) -> str:
    """Keys as they are printed: ``c c`` is c twice."""
    told = []
    for key, group in groupby(keys.split()):
        times = len(list(group))
        told.append(f"`{key}`" + (f" × {times}" if times > 1 else ""))
    return ", ".join(told)


_HOW: Final = (
    "One keyboard; a vote by show of hands before anything runs; “what did you see?” before anything is explained; "
    "one change that somebody in the room asks for. Steps, sentences and figures are those of the runs; this page is "
    "written by `python -m course.refresh`."
)
_KEYS: Final = (
    "In lecture mode (`f`) PageDown and PageUp of a presenter step; with `h` the player asks before each step what it "
    "will do. The keys of a table are pressed one row after the other, from the start (`Home`); `--step N` opens a run "
    "at a step. A run works from a file, without a network: `python -m vizlib export RUN -o run.html`."
)


def page() -> str:
    """All four, to be printed."""
    from vizlib.film import film

    parts = [
        "# Four demonstrations of ten minutes",
        _HOW,
        _KEYS,
    ]
    for number, demo in enumerate(DEMOS, 1):
        trace, steps = played(demo)
        said = [it["sentence"] for it in film(trace)["steps"]]
        ask, *answers = demo.vote
        parts.append(f"## {number}. {demo.title}")
        parts.append(f"At length in {demo.lesson}.")
        parts.append(f'**Open (before):** `python -m vizlib open "{trace.run_name}"`. {demo.before}')
        parts.append(f"**Vote (2 minutes).** {ask}")
        parts.append("\n".join(f"- {it}" for it in answers))
        parts.append("**Play (4 minutes).**")
        rows = [
            f"| {pressed(stop.keys)} | {step} | {said[step - 1]} | {stop.say} |"
            for stop, step in zip(demo.stops, steps, strict=True)
        ]
        if demo.ends:
            rows.append(f"| `End` | {len(trace.events)} | {said[-1]} | What did you see? |")
        parts.append("\n".join(["| key | step | on the screen | say or ask |", "| --- | ---: | --- | --- |", *rows]))
        for command, prints in demo.prints.items():
            parts.append(f"`{command}`\n\n```text\n{prints()}\n```")
        parts.append(f"**Ask (3 minutes).** {demo.after}")
        parts.append(f"**Without a projector.** {demo.fallback}")
    return "\n\n".join(parts) + "\n"
