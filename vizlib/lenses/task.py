"""Threads: what each is doing, and the lines on which it stands.

A player writes these as text, so the lens gives data and no marks; :mod:`vizlib.chrome` draws them for a still.
"""

from __future__ import annotations

from typing import NamedTuple

from sim.machine import Frame
from sim.ops import Acquire, Until
from vizlib.moments import USER_CODE, Actor, Moment
from vizlib.waiting import intent, why_blocked

#: The states of a thread, in words for people.
STATES = {
    "running": "made this step",
    "ready": "can run",
    "user": "can run, user code",
    "waiting": "sleeps",
    "spinning": "spins",
    "idle": "stands still",
    "done": "has finished",
}


#: What is said of one that the end of the run left standing.
STOPPED = "the run ended before it was through"


class Thread(NamedTuple):
    """One thread at one moment.

    Attributes:
        state: one of :data:`STATES`.
        status: a few words more: what it waits for.  Empty for one that can run: what it would do is said elsewhere.
        stack: its call stack, outermost first; of the thread that made the step the lines that ran.
        user: what its user code is about, if it is not in the kernel; else "".
    """

    state: str
    status: str
    stack: tuple[Frame, ...]
    user: str = ""


def thread(actor: Actor, moment: Moment) -> Thread:
    """*actor* at *moment*."""
    stack = moment.stack_of(actor)
    in_user_code = bool(stack) and stack[-1].file == USER_CODE and actor.kind == "thread"
    user = intent(actor, moment) if in_user_code and not moment.finished(actor) else ""
    if actor.kind == "spinner":
        return Thread("user", "computes, and touches no page that moves", stack, "spin")
    if moment.acts(actor):  # also the one that the violation stopped
        return Thread("running", _next(actor, moment), stack, user)
    if moment.finished(actor):
        return Thread("done", "", ())
    if moment.stopped(actor) and not moment.can_run(actor):
        return Thread("idle", STOPPED, stack)
    if moment.can_run(actor):
        return Thread("user" if in_user_code else "ready", "", stack, user)
    if actor.kind == "handler":
        return Thread("idle", why_blocked(actor, moment), stack)
    return Thread("waiting" if sleeps(actor, moment) else "spinning", why_blocked(actor, moment), stack)


def _next(actor: Actor, moment: Moment) -> str:
    """What the thread that made the step can do now."""
    if moment.finished(actor):
        return "has finished"
    if moment.stopped(actor):
        return "the run ends here"
    return "" if moment.can_run(actor) else why_blocked(actor, moment)


def sleeps(actor: Actor, moment: Moment) -> bool:
    """Whether a blocked task gives its CPU away."""
    op = moment.pending.get(actor.task)
    if isinstance(op, Acquire):
        return op.lock.lock is not None and op.lock.lock.sleeps
    return isinstance(op, Until) and op.sleeps
