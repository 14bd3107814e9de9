"""The lanes at the bottom: per thread what it held, waited for and copied, from the first step to the last."""

from __future__ import annotations

from sim.ops import CopyPage, Field
from vizlib.moments import Actor, Moment, Run
from vizlib.names import held_page, lock_name
from vizlib.scene import Json

#: The rank from which a hold has a bar of its own; page locks and what lies outside are drawn below it.
INNER_RANK = 50


def lanes(run: Run, most: int) -> list[Json]:
    """Bars: where a thread runs (``run``), holds a lock (``hold``), waits (``wait``) and copies (``copy``)."""
    bars: list[Json] = []
    for actor in run.actors:
        if actor.kind != "handler":
            bars += _Lane(run, actor).bars(most)
    return bars


class _Lane:
    def __init__(self, run: Run, actor: Actor) -> None:
        self.run = run
        self.actor = actor
        self.open: dict[tuple[str, object], Json] = {}
        self.done: list[Json] = []

    def bars(self, most: int) -> list[Json]:
        for moment in self.run.moments():
            if moment.step > most:
                break
            self._alive(moment)
            self._held(moment)
            self._waits(moment)
            event = moment.event
            if event is not None and event.task is self.actor.task and isinstance(event.op, CopyPage):
                page = held_page(event.op.dst, moment)
                self._bar("copy", moment.step, moment.step, f"copy{f' {page}' if page else ''}")
        for bar in self.open.values():
            bar["to"] = min(self.run.length, most)
            self.done.append(bar)
        order = {"run": 0, "hold": 1, "wait": 2, "copy": 3}
        return sorted(self.done, key=lambda it: (order[it["kind"]], it["from"], it["rank"]))

    def _bar(self, kind: str, start: int, end: int, label: str, rank: int = 0) -> Json:
        bar = {
            "task": self.actor.name,
            "from": start,
            "to": end,
            "kind": kind,
            "label": label,
            "colour": self.actor.colour,
            "rank": rank,
        }
        if kind == "copy":
            self.done.append(bar)
        return bar

    def _alive(self, moment: Moment) -> None:
        self._track("run", None, not moment.finished(self.actor), moment, "")

    def _held(self, moment: Moment) -> None:
        held: list[Field] = [lock for lock, _ in moment.get(self.actor.task.held)]
        for kind, lock in list(self.open):
            if kind == "hold" and lock not in held:
                self._close(("hold", lock), moment.step)
        for lock in held:
            if lock.lock is not None:
                self._track("hold", lock, True, moment, lock_name(lock).removeprefix("the "), lock.lock.rank)

    def _waits(self, moment: Moment) -> None:
        field = moment.waits_for(self.actor)
        for kind, waited in list(self.open):
            if kind == "wait" and waited is not field:
                self._close(("wait", waited), moment.step)
        if field is None or self.actor.kind == "spinner":
            return
        if field.lock is not None:
            label = f"waits for {lock_name(field, moment).removeprefix('the ')}"
        else:
            label = "waits for answers" if field.base == "csd_pending" else f"waits for {field}"
        self._track("wait", field, True, moment, label)

    def _track(self, kind: str, key: object, on: bool, moment: Moment, label: str, rank: int = 0) -> None:
        if on and (kind, key) not in self.open:
            self.open[kind, key] = self._bar(kind, moment.step, moment.step, label, rank)
        elif not on and (kind, key) in self.open:
            self._close((kind, key), moment.step)

    def _close(self, key: tuple[str, object], step: int) -> None:
        bar = self.open.pop(key)
        bar["to"] = step
        self.done.append(bar)


def arrows(run: Run, most: int) -> list[Json]:
    """Interrupts from who sent them to the CPU that took them, and wake-ups by a released lock."""
    found: list[Json] = []
    by_cpu = {it.cpu: it for it in reversed(run.actors) if it.kind != "handler"}
    for queue in run.queues:
        waiting: list[Json] = []
        for step, event in enumerate(run.events[:most], 1):
            for change in event.changes:
                if change.field is not queue:
                    continue
                for request in change.new[len(change.old) :]:
                    sender, target = by_cpu.get(request.sender), by_cpu.get(queue.ref)
                    if sender is not None and target is not None:
                        arrow = {"kind": "ipi", "from": sender.name, "to": target.name, "sent": step, "taken": None}
                        waiting.append({**arrow, "label": "IPI"})
                        found.append(waiting[-1])
                if len(change.new) < len(change.old) and waiting:
                    waiting.pop(0)["taken"] = step
    return found
