"""A run under the clock as lanes: what each thread held, what it waited for, who woke it, flushes and interrupts.

Half a million steps are too many for a film, and nobody would step through them; as lanes over time they are a picture
that can be zoomed.  The intervals travel as columns of whole nanoseconds, each as the difference to the one before.
All times are simulated.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING

from sim.errors import UserError
from sim.locks import holders
from sim.machine import Change
from sim.ops import CopyPage, Field, HandleIpi
from sim.worlds import WORLDS
from sim.worlds import find as find_world
from vizlib import theme
from vizlib.names import lock_name
from vizlib.scene import Json

if TYPE_CHECKING:
    from sim.engines.timed_run import TimedRun

FORMAT, VERSION = "rmapwalk-timeline", 1
#: What a lane shows: locks held, waits, copies; and as moments without length flushes and interrupts taken.
KINDS = ("hold", "wait", "copy", "flush", "interrupt")


def timeline(run: TimedRun, title: str = "", everything: bool = False) -> Json:
    """*run* as lanes; of the locks those that somebody slept for, if there are any.

    With *everything* all locks, and lanes for the threads that only spin too, as a recording has them.

    Raises:
        UserError: if the steps of the run were not recorded.
    """
    if not run.events:
        raise UserError("this run has no steps to draw: run it with record=True, and not extrapolated")
    reader = _Reader(run, everything)
    reader.read_steps()
    wakes, ipis = sorted(reader.read_sleeps()), sorted(reader.ipis)
    lanes, count, end = reader.lanes, len(run.events), run.elapsed_ns
    world = WORLDS.get(run.world)
    return {
        "format": FORMAT,
        "version": VERSION,
        "title": title or (world.title.rstrip(".") if world else run.world),
        "world": run.world,
        "variant": run.variant,
        "run_name": f"{run.world} {run.variant}",
        "times": "simulated",
        "steps": [],
        "start": {"sentence": f"{count:,} steps of {len(lanes)} threads in {end:,} ns, simulated."},
        "events": count,
        "end": end,
        "labels": list(reader.labels),
        "lanes": [
            {
                "task": name,
                "colour": theme.task_colour(number),
                **{kind: columns(its[kind]) for kind in KINDS if its[kind]},
            }
            for number, (name, its) in enumerate(lanes.items())
        ],
        "wakes": [_differences(column) for column in zip(*wakes, strict=True)],
        "ipis": [_differences(column) for column in zip(*ipis, strict=True)],
    }


class _Reader:
    """Reads a run into lanes: by thread and kind the intervals (from, to, label).

    Attributes:
        ipis: interrupts: when each was sent and taken, from whose lane and in whose.
    """

    def __init__(self, run: TimedRun, everything: bool) -> None:
        self.run = run
        infos = find_world(run.world).setup(run.params).tasks
        threads = [info for info in infos if not info.daemon or (everything and not str(info.task).startswith("ipi@"))]
        self.lanes: dict[str, dict[str, list[tuple[int, int, int]]]] = {
            str(info.task): {kind: [] for kind in KINDS} for info in threads
        }
        self.labels: dict[str, int] = {}
        self._number = {name: at for at, name in enumerate(self.lanes)}
        on_cpu = {info.cpu: str(info.task) for info in reversed(threads)}
        #: Whose lane shows what a task does: a handler's is that of the thread on its CPU.
        self._lane_of = {str(info.task): on_cpu.get(info.cpu, "") for info in infos if info not in threads}
        slept_for = {it.field for it in run.sleeps if it.field is not None and it.field.lock is not None}
        self._shown = None if everything else slept_for or None
        self._since: dict[tuple[str, Field], int] = {}
        self._released: dict[Field, tuple[list[int], list[str]]] = {}
        self.ipis: list[tuple[int, int, int, int]] = []
        self._sent: dict[Field, deque[tuple[int, str]]] = defaultdict(deque)  # by queue: when, and by whom

    def read_steps(self) -> None:
        """Holds, copies, flushes and interrupts."""
        for event, at in zip(self.run.events, self.run.times, strict=False):
            name = str(event.task)
            for change in event.changes:
                if change.field.lock is not None and (self._shown is None or change.field in self._shown):
                    self._held(change, at)
                elif change.field.base == "call_single_queue":
                    self._interrupted(change, name, at)
            if isinstance(event.op, CopyPage):
                self._add(name, "copy", at, at + 1, "copies a page")
            elif isinstance(event.op, HandleIpi):
                self._add(name, "interrupt", at, at, "takes an interrupt")
            if "tlb_flush" in event.points:
                self._add(name, "flush", at, at, "flushes TLBs")
        for (name, lock), start in self._since.items():
            self._add(name, "hold", start, self.run.elapsed_ns, _called(lock))

    def _held(self, change: Change, at: int) -> None:
        lock = change.field
        before, after = holders(change.old), holders(change.new)
        for task in before:
            if task not in after and (start := self._since.pop((str(task), lock), None)) is not None:
                self._add(str(task), "hold", start, at, _called(lock))
                times, names = self._released.setdefault(lock, ([], []))
                times.append(at)
                names.append(str(task))
        for task in after:
            if task not in before:
                self._since[str(task), lock] = at

    def _interrupted(self, change: Change, name: str, at: int) -> None:
        """Note a request that is put into a CPU's queue, or each that is taken from it, the oldest first."""
        sent = self._sent[change.field]
        if len(change.new) > len(change.old):
            sent.append((at, name))
        for _ in range(len(change.old) - len(change.new)):
            since, sender = sent.popleft()
            by, whom = (self._number.get(self._lane_of.get(it, it)) for it in (sender, name))
            if by is not None and whom is not None:
                self.ipis.append((since, at, by, whom))

    def read_sleeps(self) -> Iterator[tuple[int, int, int, int]]:
        """Waits; what comes back are wake-ups: when the lock was released, when the sleeper ran, from and to whom."""
        for it in self.run.sleeps:
            if it.field is None:
                continue
            woken = it.time + it.duration
            self._add(it.task, "wait", it.time, woken if it.duration else self.run.elapsed_ns, _called(it.field))
            times, names = self._released.get(it.field, ([], []))
            last = bisect_right(times, woken) - 1
            if it.duration and last >= 0 and names[last] in self._number and it.task in self._number:
                yield times[last], woken, self._number[names[last]], self._number[it.task]

    def _add(self, name: str, kind: str, start: int, end: int, label: str) -> None:
        lane = self.lanes.get(self._lane_of.get(name, name))
        if lane is not None:
            lane[kind].append((start, end, self.labels.setdefault(label, len(self.labels))))


def _called(lock: Field) -> str:
    return lock_name(lock).removeprefix("the ") if lock.lock is not None else str(lock)


def in_order(it: Json, locks: Iterable[str] | None = None) -> Json:
    """The same lanes with the order of their events in place of times, from 0 to ``end``.

    So lanes of two clocks can stand beside each other.

    Args:
        it: lanes as :func:`timeline` makes them.
        locks: how the names of the locks begin that are shown as held; all if left away.
    """
    begins = None if locks is None else tuple(locks)

    def is_shown(kind: str, label: int) -> bool:
        return begins is None or kind != "hold" or str(it["labels"][label]).startswith(begins)

    shown = [
        {kind: [row for row in intervals(lane.get(kind)) if is_shown(kind, row[2])] for kind in KINDS}
        for lane in it["lanes"]
    ]
    ends = {at for lane in shown for kind in ("hold", "wait") for row in lane[kind] for at in row[:2]}
    starts = {row[0] for lane in shown for kind in KINDS for row in lane[kind]}
    places = {at: number for number, at in enumerate(sorted(ends | starts))}
    lanes = []
    for old, rows in zip(it["lanes"], shown, strict=True):
        new = {
            kind: columns(
                (places[start], places[end] if kind in ("hold", "wait") else places[start] + (kind == "copy"), label)
                for start, end, label in rows[kind]
            )
            for kind in KINDS
            if rows[kind]
        }
        lanes.append({"task": old["task"], "colour": old["colour"], **new})
    return it | {"lanes": lanes, "end": len(places), "wakes": [], "ipis": []}


def bars(it: Json, most: int = 1200, moments: bool = False) -> list[Json]:
    """The lanes for a still, as :func:`vizlib.charts.lanes` takes them: spans closer than a *most*-th part are one.

    With *moments* flushes and interrupts too.
    """
    near = it["end"] / most
    found = []
    for lane in it["lanes"]:
        if moments:
            for kind in ("flush", "interrupt"):
                for start, end in _spans(lane.get(kind)):
                    found.append(
                        {"task": lane["task"], "from": start, "to": end, "kind": kind, "colour": lane["colour"]}
                    )
        for kind in ("wait", "hold", "copy"):
            for start, end in _joined(_spans(lane.get(kind)), near):
                found.append({"task": lane["task"], "from": start, "to": end, "kind": kind, "colour": lane["colour"]})
    return found


def _joined(spans: Iterable[tuple[int, int]], near: float) -> Iterator[tuple[int, int]]:
    since, last = None, 0
    for start, end in sorted(spans):
        if since is not None and start - last > near:
            yield since, last
            since = None
        since = start if since is None else since
        last = max(last, end)
    if since is not None:
        yield since, last


def text(it: Json) -> str:
    """The text twin: for each thread the share of the time in which it waits and holds a lock, and its counts."""
    rows = ["thread            waits   holds  flushes  interrupts"]
    for lane in it["lanes"]:
        spans = {kind: list(_spans(lane.get(kind))) for kind in KINDS}
        shares = [100 * _covered(spans[kind]) / max(it["end"], 1) for kind in ("wait", "hold")]
        counts = f"{len(spans['flush']):8,} {len(spans['interrupt']):11,}"
        rows.append(f"{lane['task']:<16}{shares[0]:5.1f} % {shares[1]:5.1f} % {counts}")
    return "\n".join(rows)


#: What stands for what in :func:`strips`; later ones lie over earlier ones.
SIGNS = {"wait": "~", "hold": "#", "copy": "C", "flush": "v", "interrupt": "^"}


def strips(it: Json) -> str:
    """The text twin of lanes in order of events: a row a thread, a letter a place."""
    wide = max((len(lane["task"]) for lane in it["lanes"]), default=0)
    rows = []
    for lane in it["lanes"]:
        row = ["."] * (it["end"] + 1)
        for kind, sign in SIGNS.items():
            for start, end in _spans(lane.get(kind)):
                row[start : max(end, start + 1)] = sign * max(end - start, 1)
        rows.append(f"{lane['task']:{wide}}  {''.join(row)}")
    return "\n".join([*rows, "# holds a lock   ~ waits   C copies   v flushes   ^ takes an interrupt"])


def columns(its: Iterable[tuple[int, int, int]]) -> list[list[int]]:
    """The columns of a lane from its intervals: starts as differences, lengths, labels; in order of the starts."""
    rows = sorted(its)
    return [
        _differences([start for start, _, _ in rows]),
        [end - start for start, end, _ in rows],
        [it[2] for it in rows],
    ]


def _differences(its: Sequence[int]) -> list[int]:
    return [now - before for before, now in zip((0, *its), its, strict=False)]


def intervals(columns: Sequence[Sequence[int]] | None) -> Iterator[tuple[int, int, int]]:
    """The intervals of a lane from its columns: start, end (ns), and the number of the label."""
    if columns:
        for at, length, label in zip(accumulate(columns[0]), *columns[1:], strict=True):
            yield at, at + length, label


def _spans(columns: Sequence[Sequence[int]] | None) -> Iterator[tuple[int, int]]:
    return ((start, end) for start, end, _ in intervals(columns))


def _covered(spans: Sequence[tuple[int, int]]) -> int:
    """How long at least one of them lasts."""
    total, last = 0, 0
    for start, end in spans:
        total += max(0, end - max(start, last))
        last = max(last, end)
    return total
