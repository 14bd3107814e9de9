"""The same protocol in Promela, and Spin run on it: a peer for the checker, from process start to verdict.

Each step of :mod:`sim.bench.protocol` is one transition here too, so that both tools search the same graph.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from sim.analysis.spin import spin

#: Pages, users, rounds.
SIZES = ((1, 1, 1), (2, 1, 2), (1, 2, 1), (2, 2, 2), (1, 3, 2))


class Step(NamedTuple):
    """One transition: its label, what it waits for, what it does, and the label where it goes on.

    The last is an expression; ``pc`` if what it does says so itself.  Label 0 is that of a task that has finished.
    """

    label: int
    when: str
    does: str
    then: str


_LOCK = "family == 0"
_FLUSH = "who = 0; do :: who < USERS -> tlb[who * PAGES + {page}] = 0; who++ :: else -> break od; who = 0"
_DROP = "holds--; if :: holds == 0 -> gone = true :: else -> skip fi"

#: The migrator, label by label.
MIGRATOR = (
    Step(1, "locked[at] == 0", "locked[at] = 1", "2"),
    Step(2, "true", "", "(pte[at] == 0 -> 16 : 3)"),
    Step(3, "true", "if :: holds > 0 -> holds++; pc = 4 :: else -> pc = 16 fi", "pc"),
    Step(4, _LOCK, "assert(!gone); family = 1", "5"),
    Step(5, "true", "", "(pte[at] == 1 -> 6 : 17)"),
    Step(17, "true", "family = 0", "15"),
    Step(6, "true", "pte[at] = 3", "7"),
    Step(7, "true", _FLUSH.format(page="at"), "8"),
    Step(8, "true", "family = 0", "9"),
    Step(9, "true", "data = frame[2 * at]", "10"),
    Step(10, "true", "frame[2 * at + 1] = data; data = 0", "11"),
    Step(11, _LOCK, "assert(!gone); family = 1", "12"),
    Step(12, "true", "", "(pte[at] == 3 -> 13 : 14)"),
    Step(13, "true", "pte[at] = 2", "14"),
    Step(14, "true", "family = 0", "15"),
    Step(15, "true", _DROP, "16"),
    Step(16, "true", "locked[at] = 0; at++; if :: at < PAGES -> pc = 1 :: else -> at = 0; pc = 0 fi", "pc"),
)
#: The munmap.
MUNMAP = (
    Step(1, _LOCK, "assert(!gone); family = 1", "2"),
    Step(2, "true", "pte[at] = 0", "3"),
    Step(3, "true", _FLUSH.format(page="at") + "; at++", "(at < PAGES -> 2 : 4)"),
    Step(4, "true", "family = 0; at = 0", "5"),
    Step(5, "true", _DROP, "0"),
)
#: A user: an access, a fill, and the wait for a page that is on its way.
USER = (
    Step(
        1,
        "true",
        "at = turn % PAGES; mine = tlb[me * PAGES + at]; if"
        " :: mine == 0 -> pc = 2"
        " :: mine != 0 && !reads -> last[at]++; frame[2 * at + mine - 1] = last[at]; reads = true; pc = 1"
        " :: else -> assert(frame[2 * at + mine - 1] == last[at]); reads = false; turn++;"
        " if :: turn < ROUNDS -> pc = 1 :: else -> turn = 0; pc = 0 fi"
        " fi; mine = 0; at = 0",
        "pc",
    ),
    Step(
        2,
        "true",
        "at = turn % PAGES; mine = pte[at]; if"
        " :: mine == 0 -> turn = 0; reads = false; pc = 0"
        " :: mine == 3 -> pc = 3"
        " :: else -> tlb[me * PAGES + at] = mine; pc = 1"
        " fi; mine = 0; at = 0",
        "pc",
    ),
    Step(3, "locked[turn % PAGES] == 0", "", "1"),
)


def promela(pages: int, users: int, rounds: int) -> str:
    """The protocol's correct form."""
    return "\n".join(_lines(pages, users, rounds))


def _lines(pages: int, users: int, rounds: int) -> Iterator[str]:
    yield f"#define PAGES {pages}\n#define USERS {users}\n#define ROUNDS {rounds}"
    yield "byte pte[PAGES], locked[PAGES], last[PAGES], frame[2 * PAGES], tlb[USERS * PAGES];"
    yield "byte family, holds = 1; bool gone;"
    yield from _process("migrator()", "byte at, data, who", MIGRATOR)
    yield from _process("munmap()", "byte at, who", MUNMAP)
    yield from _process("user(byte me)", "byte turn, at, mine; bool reads", USER)
    yield "init { byte n; atomic {"
    yield "  do :: n < PAGES -> pte[n] = 1; n++ :: else -> break od; n = 0;"
    yield "  run migrator(); run munmap(); do :: n < USERS -> run user(n); n++ :: else -> break od; n = 0 } }"


def _process(head: str, variables: str, steps: tuple[Step, ...]) -> Iterator[str]:
    yield f"proctype {head} {{ {variables}; byte pc = 1; end: do"
    for it in steps:
        wait = "" if it.when == "true" else f" && {it.when}"
        goes_on = "" if it.then == "pc" else f"pc = {it.then}"
        does = "; ".join(part for part in (it.does, goes_on) if part)
        yield f"  :: d_step {{ pc == {it.label}{wait} -> {does} }}"
    yield "  od }"  # a task that has finished stands at pc 0 for ever, which "end:" allows


class Race(NamedTuple):
    """Both tools on one size: states, and seconds from process start to verdict."""

    size: tuple[int, int, int]
    states: int
    seconds: float
    spin_states: int
    spin_seconds: float


def race(pages: int, users: int, rounds: int) -> Race:
    """Run our checker and Spin (translate, gcc -O2, search), each in processes of its own."""
    start = time.perf_counter()
    code = (
        "from sim.bench.protocol import protocol; from sim.engines.checker import check;"
        f" it = check(protocol({pages}, {users}, {rounds}), 'mutex_v37'); print(it.verdict, it.states)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    ours = time.perf_counter() - start
    verdict, states = done.stdout.split()
    assert verdict == "safe", verdict
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        said = spin(promela(pages, users, rounds), Path(folder), ("gcc", "-O2"))
        theirs = time.perf_counter() - start
    assert said.verdict == "safe", said.verdict
    return Race((pages, users, rounds), int(states), ours, said.states, theirs)
