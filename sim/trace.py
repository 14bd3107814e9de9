"""What happened: the events of a run, from which everything else is drawn.

A trace is the only bridge to the pictures.  It can be saved and loaded; a file draws the same picture as a
live run.  Going back needs no machine: the old values stand in the events.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sim import ops, structs
from sim.errors import BadTrace
from sim.invariants import KINDS, Memory, Violation
from sim.locks import Rwsem
from sim.machine import BLOCKED, Change, Event, Frame
from sim.schedule import Turn, run_name
from sim.setup import TaskInfo
from sim.structs import STRUCTS, IpiRequest, Pte, Struct, TlbEntry, TlbflushUnmapBatch, TlbGen, Written, declare, table
from sim.worlds import find

FORMAT, VERSION = "rmapwalk-trace", 2

_TUPLES = {it.__name__: it for it in (Pte, TlbEntry, IpiRequest, TlbflushUnmapBatch, TlbGen, Written, Rwsem)}


@dataclass
class Trace:
    """One run.

    Attributes:
        world: the world's name; params: its parameters; variant: the variant's name.
        tasks: who takes part.
        initial: the memory after set-up.
        events: what each step did, in order.
        stacks: for each event the call stack of its task when it made the step, outermost first.
        violation: what was wrong at the end (also a deadlock, or a broken final state), or None.
        runnable: the names of those who could run: at the start, and after each event.
        pending: what each task would do next at the end, None if it has finished; empty if that is not known.
        last_stacks: where each task stands then.
    """

    world: str
    params: dict[str, int]
    variant: str
    tasks: tuple[TaskInfo, ...]
    initial: Memory
    events: list[Event]
    stacks: list[tuple[Frame, ...]]
    violation: Violation | None = None
    nodes: int = 2
    variant_title: str = ""
    runnable: list[tuple[str, ...]] = field(default_factory=list)
    pending: list[ops.Op | None] = field(default_factory=list)
    last_stacks: list[tuple[Frame, ...]] = field(default_factory=list)

    def __repr__(self) -> str:
        return f"Trace({self.run_name})"

    @property
    def turns(self) -> list[Turn]:
        """The schedule."""
        index = {info.task: i for i, info in enumerate(self.tasks)}
        return [Turn(index[event.task], event.choice) for event in self.events]

    @property
    def run_name(self) -> str:
        """The short string that says exactly what happened."""
        return run_name(find(self.world), self.params, self.variant, self.turns)

    def memory_at(self, step: int) -> Memory:
        """The memory after *step* steps; 0 is the start."""
        memory = dict(self.initial)
        for event in self.events[:step]:
            memory.update((change.field, change.new) for change in event.changes)
        return memory

    @property
    def final_memory_hash(self) -> str:
        """A fingerprint of the final memory: 16 hex digits."""
        return memory_hash(self.memory_at(len(self.events)))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the trace as JSON, all or nothing."""
        body = json.dumps(self.to_json(), indent=None, separators=(",", ":"))
        write_whole(path, json.dumps({"sha256": _digest(body), "trace": json.loads(body)}, separators=(",", ":")))

    def to_json(self) -> dict[str, Any]:
        """The trace as JSON values."""
        return {
            "format": FORMAT,
            "version": VERSION,
            "world": self.world,
            "params": self.params,
            "variant": self.variant,
            "variant_title": self.variant_title,
            "nodes": self.nodes,
            "run_name": self.run_name,
            "tasks": [_task_json(info) for info in self.tasks],
            "initial": [[encode_field(it), encode(value)] for it, value in self.initial.items()],
            "events": [event_json(event) for event in self.events],
            "stacks": [[list(frame) for frame in stack] for stack in self.stacks],
            "runnable": [list(names) for names in self.runnable],
            "violation": violation_json(self.violation),
            "pending": [None if op is None else encode_op(op) for op in self.pending],
            "last_stacks": [[list(frame) for frame in stack] for stack in self.last_stacks],
        }


def load(path: str | os.PathLike[str]) -> Trace:
    """Read a trace that :meth:`Trace.save` wrote.

    Raises:
        BadTrace: if the file is damaged, foreign, or of another version; it says which.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadTrace(f"{path} cannot be read: {getattr(error, 'strerror', None) or 'it is no text file'}") from error
    try:
        whole = json.loads(text)
    except ValueError as error:
        raise BadTrace(f"{path} is damaged or no trace: it is not JSON ({error})") from error
    if not isinstance(whole, dict) or not isinstance(whole.get("trace"), dict):
        raise BadTrace(f"{path} is no trace of this project: it has no part called 'trace'")
    data = whole["trace"]
    if data.get("format") != FORMAT:
        raise BadTrace(f"{path} is no trace of this project: its format is {data.get('format')!r}, not '{FORMAT}'")
    if data.get("version") != VERSION:
        raise BadTrace(f"{path} has version {data.get('version')}; this program reads version {VERSION}")
    if _digest(json.dumps(data, separators=(",", ":"))) != whole.get("sha256"):
        raise BadTrace(f"{path} is damaged: its checksum does not match; make it again from its run name")
    try:
        return from_json(data)
    except (LookupError, TypeError, ValueError, AttributeError, AssertionError) as error:
        raise BadTrace(f"{path} is no trace that this program can read: {type(error).__name__} {error}") from error


def from_json(data: Mapping[str, Any]) -> Trace:
    """The trace that :meth:`Trace.to_json` described."""
    tasks = tuple(_task(it) for it in data["tasks"])
    return Trace(
        data["world"],
        dict(data["params"]),
        data["variant"],
        tasks,
        {decode_field(it): decode(value) for it, value in data["initial"]},
        [_event(it) for it in data["events"]],
        [tuple(Frame(*frame) for frame in stack) for stack in data["stacks"]],
        _violation(data["violation"]),
        data["nodes"],
        data["variant_title"],
        [tuple(names) for names in data["runnable"]],
        [None if op is None else decode_op(op) for op in data.get("pending", ())],
        [tuple(Frame(*frame) for frame in stack) for stack in data.get("last_stacks", ())],
    )


def memory_hash(memory: Memory) -> str:
    """A fingerprint of *memory*: 16 hex digits; a field at its default counts as absent."""
    items = sorted((repr(it), json.dumps(encode(v))) for it, v in memory.items() if v != it.default)
    return hashlib.blake2b(json.dumps(items).encode(), digest_size=8).hexdigest()


@contextmanager
def whole(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A file beside *path*, of the same suffix, to write to: it takes the place of *path* if all goes well."""
    target = Path(path)
    part = target.with_name(f".part-{target.name}")
    try:
        yield part
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def write_whole(path: str | os.PathLike[str], content: str | bytes) -> None:
    """Write *content* to *path*, text as UTF-8, all or nothing."""
    with whole(path) as part:
        part.write_bytes(content.encode() if isinstance(content, str) else content)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


# --- values as JSON --------------------------------------------------------------------------------------


def encode(value: Any) -> Any:
    """A value of memory, or part of an operation, as JSON."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, Struct):
        return {"ref": [type(value).__name__, value.name]}
    if isinstance(value, ops.Field):
        return {"field": encode_field(value)}
    if isinstance(value, type):
        return {"struct": value.__name__}
    if value is BLOCKED:
        return {"blocked": True}
    kind = type(value).__name__ if type(value).__name__ in _TUPLES else "tuple"
    return {kind: [encode(it) for it in value]}


def decode(value: Any) -> Any:
    """The value that :func:`encode` wrote."""
    if not isinstance(value, dict):
        return value
    ((kind, body),) = value.items()
    if kind == "ref":
        return STRUCTS[body[0]](body[1])
    if kind == "field":
        return decode_field(body)
    if kind == "struct":
        return STRUCTS[body]
    if kind == "blocked":
        return BLOCKED
    parts = tuple(decode(it) for it in body)
    return parts if kind == "tuple" else _TUPLES[kind](*parts)


def encode_field(it: ops.Field) -> list[Any]:
    """A field as JSON: struct, object, field, key."""
    return [type(it.ref).__name__, it.ref.name, it.base, encode(it.key)]


def decode_field(it: list[Any]) -> ops.Field:
    """The field that :func:`encode_field` wrote."""
    struct, name, base, key = it
    ref = STRUCTS[struct](name)
    declared: declare = getattr(STRUCTS[struct], base)
    place = getattr(ref, base)
    return place[decode(key)] if isinstance(declared, table) else place  # type: ignore[no-any-return]


def encode_op(op: ops.Op) -> list[Any]:
    """An operation as JSON: its name and its parts."""
    if isinstance(op, ops.Field):
        return ["Field", encode_field(op)]
    names: tuple[str, ...] = type(op).__slots__
    return [type(op).__name__, *(encode(getattr(op, name)) for name in names)]


def decode_op(data: list[Any]) -> ops.Op:
    """The operation that :func:`encode_op` wrote."""
    name, *parts = data
    if name == "Field":
        return decode_field(parts[0])
    return getattr(ops, name)(*(decode(it) for it in parts))  # type: ignore[no-any-return]


def event_json(event: Event) -> dict[str, Any]:
    """An event as JSON values."""
    return {
        "step": event.step,
        "task": event.task.name,
        "op": encode_op(event.op),
        "choice": event.choice,
        "answer": encode(event.answer),
        "outcome": event.outcome,
        "changes": [[encode_field(it.field), encode(it.old), encode(it.new)] for it in event.changes],
        "points": list(event.points),
        "violation": violation_json(event.violation),
    }


def _event(data: Mapping[str, Any]) -> Event:
    changes = tuple(Change(decode_field(it), decode(old), decode(new)) for it, old, new in data["changes"])
    return Event(
        data["step"],
        structs.Task(data["task"]),
        decode_op(data["op"]),
        data["choice"],
        decode(data["answer"]),
        data["outcome"],
        changes,
        tuple(data["points"]),
        _violation(data["violation"]),
    )


def violation_json(it: Violation | None) -> dict[str, Any] | None:
    """A violation as JSON values."""
    if it is None:
        return None
    culprits = [encode(ref) for ref in it.culprits]
    return {"kind": it.kind, "sentence": it.sentence, "rule": it.rule, "culprits": culprits}


def _violation(data: Mapping[str, Any] | None) -> Violation | None:
    if data is None:
        return None
    assert data["kind"] in KINDS
    culprits = tuple(decode(ref) for ref in data["culprits"])
    return Violation(data["kind"], data["sentence"], culprits, data.get("rule", ""))  # older traces have no rule


def _task_json(info: TaskInfo) -> list[Any]:
    names = (info.task.name, info.letter, info.cpu.name, info.node, info.mm.name, info.daemon, info.title)
    return list(names)


def _task(data: list[Any]) -> TaskInfo:
    name, letter, cpu, node, mm, daemon, title = data
    return TaskInfo(structs.Task(name), letter, structs.Cpu(cpu), node, structs.Mm(mm), daemon, title, _no_body)


def _no_body(_: Any) -> Any:
    raise BadTrace("a trace from a file cannot be run; replay its run name instead")
