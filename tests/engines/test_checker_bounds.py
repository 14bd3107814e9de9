"""A search that is stopped says so, with what it has found: a limit, Ctrl-C; and a long one tells how far it is."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from typing import Any

import pytest

from sim.engines import search_livelock
from sim.engines.checker import check
from sim.ops import Bug, Kernel
from tests.engines.toys import MUTEX, T, toy


def increment(k: Any) -> Kernel:
    value = yield T.a
    yield T.a.set(value + 1)


def counts_for_ever(k: Any) -> Kernel:
    while True:
        yield T.a.add(1)


def test_the_search_gives_up_at_its_limit_and_says_so() -> None:
    verdict = check(toy(counts_for_ever), MUTEX, limit=100)
    assert (verdict.verdict, verdict.complete, verdict.violations) == ("undecided", False, ())
    assert "100 states" in verdict.bound


def test_a_violation_counts_although_the_limit_was_met() -> None:
    def goes_wrong(k: Any) -> Kernel:
        yield Bug("kernel bug", "at once")

    verdict = check(toy(goes_wrong, counts_for_ever), MUTEX, limit=100, all_kinds=True)
    assert (verdict.verdict, verdict.complete) == ("unsafe", False)


def test_progress_is_told_states_and_depth() -> None:
    told: list[tuple[int, int]] = []
    verdict = check(toy(increment, increment), MUTEX, progress=lambda *it: told.append(it))
    assert told[-1] == (verdict.states, verdict.depth)
    assert told == sorted(told)


def interrupt(states: int, depth: int) -> None:
    raise KeyboardInterrupt


def test_ctrl_c_ends_the_search_with_the_number_of_states() -> None:
    verdict = check(toy(counts_for_ever), MUTEX, progress=interrupt)
    assert (verdict.verdict, verdict.complete, verdict.violations) == ("undecided", False, ())
    assert (verdict.states, verdict.bound) == (2, "interrupted at 2 states, at depth 0")


def test_ctrl_c_loses_no_violation_that_was_found() -> None:
    def goes_wrong(k: Any) -> Kernel:
        yield Bug("kernel bug", "at once")

    verdict = check(toy(goes_wrong, counts_for_ever), MUTEX, progress=interrupt)
    assert (verdict.verdict, verdict.complete) == ("unsafe", False)
    assert [(it.kind, it.steps) for it in verdict.violations] == [("kernel bug", 1)]


def test_ctrl_c_while_livelocks_are_looked_for_decides_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(search_livelock, "search", interrupted)
    verdict = check(toy(increment), MUTEX)
    assert (verdict.verdict, verdict.complete) == ("undecided", False)


def test_ctrl_c_ends_the_command_with_what_was_found_so_far() -> None:
    """A real interrupt, sent once the terminal shows progress: the verdict in words, its bound, and its exit code."""
    terminal, its_end = pty.openpty()
    argv = [sys.executable, "-m", "sim", "check", "numa02", "--variant", "mutex_v37", "--threads", "4", "--pages", "4"]
    argv += ["--limit", "50000000"]  # out of reach, however late the interrupt is sent
    running = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=its_end, text=True)
    os.close(its_end)
    told = b""
    while b"states" not in told:
        told += os.read(terminal, 1000)
    running.send_signal(signal.SIGINT)
    said, _ = running.communicate(timeout=60)
    os.close(terminal)
    assert running.returncode == 3
    assert "numa02 under mutex_v37: undecided (search not complete" in said
    assert "interrupted at " in said.splitlines()[-1]
