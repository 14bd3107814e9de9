"""A run under the clock as a trace for Perfetto and Chrome's ``about:tracing``: the JSON that both of them read.

Each thread is a track.  What it waits for and what it copies are slices; locks that it holds are asynchronous slices,
since they need not nest; flushes and interrupts are instants; arrows lead from who released a lock to who slept for it,
and from who sent an IPI to the thread whose CPU takes it; and a counter says how many wait.  Times are microseconds
there, with the nanoseconds behind the point.
Format: "Trace Event Format", Google, 2016.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate
from typing import Any, Final

from vizlib.scene import Json
from vizlib.timeline import KINDS, intervals

#: The one process of the trace.
PID: Final = 1


def perfetto(lanes: Json) -> dict[str, Any]:
    """The lanes of :func:`vizlib.timeline.timeline` as trace events, in order of time.

    Returns:
        ``{"traceEvents": [...], "displayTimeUnit": "ns", "otherData": {...}}``, ready for :func:`json.dumps`.
    """
    events = sorted(_events(lanes), key=lambda it: it.get("ts", -1.0))
    named = [
        {"name": "process_name", "ph": "M", "pid": PID, "args": {"name": f"{lanes['run_name']} ({lanes['times']})"}}
    ]
    said = {key: lanes[key] for key in ("title", "world", "variant")} | {"times": lanes["times"]}
    return {"traceEvents": [*named, *events], "displayTimeUnit": "ns", "otherData": said}


def _events(lanes: Json) -> Iterator[dict[str, Any]]:
    labels = lanes["labels"]
    changes: list[tuple[int, int]] = []
    number = 0
    for tid, lane in enumerate(lanes["lanes"], 1):
        yield {"name": "thread_name", "ph": "M", "pid": PID, "tid": tid, "args": {"name": lane["task"]}}
        for kind in KINDS:
            for start, end, label in intervals(lane.get(kind)):
                here = {"pid": PID, "tid": tid, "ts": start / 1000, "cat": kind}
                if kind == "hold":
                    number += 1
                    # A local id: with one for all processes Perfetto shows locks far from the threads.
                    lock = {"name": labels[label], "id2": {"local": hex(number)}} | here
                    yield lock | {"ph": "b", "args": {"holder": lane["task"]}}
                    yield lock | {"ph": "e", "ts": end / 1000}
                elif kind in ("wait", "copy"):
                    name = f"waits for {labels[label]}" if kind == "wait" else labels[label]
                    yield {"name": name, "ph": "X", "dur": (end - start) / 1000} | here
                    changes += [(start, 1), (end, -1)] if kind == "wait" else []
                else:
                    yield {"name": labels[label], "ph": "i", "s": "t"} | here
    yield from _arrows(lanes, "wakes", "wake-up", "wake")
    yield from _arrows(lanes, "ipis", "IPI", "ipi")
    yield from _waiting(changes)


def _arrows(lanes: Json, columns: str, name: str, kind: str) -> Iterator[dict[str, Any]]:
    """Arrows from one moment in a lane to a later one in another: a release and who slept for it, an IPI."""
    if lanes.get(columns):
        its = [list(accumulate(it)) for it in lanes[columns]]
        for number, (start, end, by, whom) in enumerate(zip(*its, strict=True), 1):
            arrow = {"name": name, "cat": kind, "id": number, "pid": PID}
            yield arrow | {"ph": "s", "tid": by + 1, "ts": start / 1000}
            yield arrow | {"ph": "f", "bp": "e", "tid": whom + 1, "ts": end / 1000}


def _waiting(changes: list[tuple[int, int]]) -> Iterator[dict[str, Any]]:
    """How many threads wait, whenever that changes."""
    waiting = 0
    for at, change in sorted(changes):
        waiting += change
        yield {"name": "waiting", "ph": "C", "pid": PID, "ts": at / 1000, "args": {"threads": waiting}}
