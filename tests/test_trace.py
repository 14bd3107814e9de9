"""Traces: what is saved can be loaded, and every moment of a run can be had back."""

from __future__ import annotations

import hashlib
import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from sim import trace, variants
from sim.engines.checker import check
from sim.engines.stepper import Stepper, replay
from sim.errors import BadTrace
from sim.invariants import Memory
from sim.trace import Trace
from sim.worlds import WORLDS

#: Each world under one of the variants, in turn, and one under all of them: what is written down is not the variant's.
CASES = [
    *((world, variants.names()[number % len(variants.names())]) for number, world in enumerate(WORLDS)),
    *(("stack_grows", it) for it in variants.names()),
]


def drawn(world: str, variant: str, seed: int = 1) -> Trace:
    """A run in random order, from start to end."""
    return Stepper(world, variant, **WORLDS[world].small()).finish(seed).trace


def told(it: Trace) -> tuple[Any, ...]:
    """All that a trace says, for comparing; a violation by its words, a task without its body."""
    events = [
        (e.step, e.task, e.op, e.choice, e.answer, e.outcome, e.changes, e.points, str(e.violation)) for e in it.events
    ]
    tasks = [(t.task, t.letter, t.cpu, t.node, t.mm, t.daemon, t.title) for t in it.tasks]
    rest = it.world, it.params, it.variant, it.nodes, it.variant_title, it.initial, it.stacks, it.runnable
    return events, tasks, str(it.violation), rest


def plain(memory: Memory) -> Memory:
    """*memory* without the fields that are at their default."""
    return {field: value for field, value in memory.items() if value != field.default}


@pytest.mark.parametrize(("world", "variant"), sorted(set(CASES)))
def test_a_saved_trace_is_loaded_as_it_was(world: str, variant: str, tmp_path: Path) -> None:
    """Events, tasks, memory, stacks and verdict come back equal, and so do name and fingerprint."""
    it = drawn(world, variant)
    it.save(tmp_path / "run.json")
    again = trace.load(tmp_path / "run.json")
    assert told(again) == told(it)
    assert (again.run_name, again.final_memory_hash) == (it.run_name, it.final_memory_hash)


def test_a_trace_that_ends_in_a_violation_is_loaded_with_it(tmp_path: Path) -> None:
    """The kind, the sentence and the culprits of the counterexample survive the file."""
    it = replay(check("stack_grows", "rfc_remap_unlocked").violations[0].run_name)
    it.save(tmp_path / "run.json")
    again = trace.load(tmp_path / "run.json")
    assert again.violation is not None
    assert it.violation is not None
    assert (again.violation.kind, again.violation.sentence) == (it.violation.kind, it.violation.sentence)
    assert again.violation.culprits == it.violation.culprits != ()
    assert told(again) == told(it)


@pytest.mark.parametrize(("world", "variant"), sorted(set(CASES)))
def test_memory_at_a_step_is_the_memory_that_was(world: str, variant: str) -> None:
    """The memory computed from the events is, after every step, the one that the machine had."""
    way = Stepper(world, variant, **WORLDS[world].small()).finish(2).trace.turns
    run = Stepper(world, variant, **WORLDS[world].small())
    memories = [plain(run.machine.memory)]
    for turn in way:
        run.step(turn.task, turn.choice or 0)
        memories.append(plain(run.machine.memory))
    record = run.trace
    assert [plain(record.memory_at(step)) for step in range(len(memories))] == memories
    hashes = [trace.memory_hash(it) for it in memories]
    changed = [before != after for before, after in pairwise(hashes)]
    assert changed == [bool(it.changes) for it in record.events]  # so what was compared is not all the same
    assert any(changed)


def test_a_trace_says_who_could_run_at_every_step() -> None:
    """``runnable`` begins with the start, and each event was made by somebody who could."""
    it = drawn("one_page", "mutex_v37")
    assert len(it.runnable) == len(it.events) + 1
    assert all(event.task.name in could for event, could in zip(it.events, it.runnable, strict=False))


def test_the_fingerprint_ignores_fields_at_their_default_and_the_order() -> None:
    """A field that was written back to its default counts as absent; any other value does not."""
    memory = drawn("one_page", "mutex_v37").memory_at(10_000)
    known = trace.memory_hash(memory)
    field = next(field for field, value in memory.items() if value == field.default)
    assert trace.memory_hash(dict(reversed(memory.items()))) == known
    assert trace.memory_hash({it: value for it, value in memory.items() if it is not field}) == known
    assert trace.memory_hash({**memory, field: 12345}) != known


# --- files that are no traces ----------------------------------------------------------------------------


def file(tmp_path: Path, **changes: Any) -> Path:
    """The file of a trace; *changes* are made to its parts, without a new checksum."""
    path = tmp_path / "run.json"
    drawn("move_pages", "mutex_v37").save(path)
    whole = json.loads(path.read_text())
    whole["trace"].update(changes)
    path.write_text(json.dumps(whole))
    return path


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"nodes": 3}, "is damaged: its checksum does not match; make it again from its run name"),
        ({"events": []}, "is damaged: its checksum does not match"),
        ({"format": "perfetto"}, "is no trace of this project: its format is 'perfetto'"),
        ({"version": 99}, "has version 99; this program reads version 2"),
    ],
)
def test_a_trace_file_that_was_changed_is_refused_with_the_reason(
    tmp_path: Path, changes: dict[str, Any], says: str
) -> None:
    """Damage, another format and another version are told apart."""
    with pytest.raises(BadTrace, match=says):
        trace.load(file(tmp_path, **changes))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "it is not JSON"),
        (b"a,b\n1,2\n", "it is not JSON"),
        (b"\xff\xfe\x00", "it is no text file"),
        (b"[1, 2]", "is no trace of this project"),
        (b'{"traceEvents": []}', "it has no part called 'trace'"),
        (b'{"trace": {}}', "its format is None"),
    ],
)
def test_a_foreign_file_is_refused_with_the_reason(tmp_path: Path, content: bytes, says: str) -> None:
    """What is no text, no JSON, or JSON of somebody else's."""
    path = tmp_path / "foreign.json"
    path.write_bytes(content)
    with pytest.raises(BadTrace, match=says):
        trace.load(path)


@pytest.mark.parametrize(
    "changes",
    [
        {"events": [{}]},
        {"events": None},
        {"initial": [[["Pagg", "f0", "node", None], 1]]},
        {"initial": [[["Page", "f0", "nod", None], 1]]},
        {"tasks": [["too", "short"]]},
        {"violation": {"kind": "bad luck", "sentence": "", "culprits": []}},
        {"initial": [[["Page", "f0", "node", None], {"unheard of": []}]]},
    ],
)
def test_a_trace_file_with_a_right_checksum_and_wrong_parts_is_refused(tmp_path: Path, changes: dict[str, Any]) -> None:
    """Somebody wrote it by program, and not by this one: no traceback, but the part that is wrong."""
    path = file(tmp_path, **changes)
    data = json.loads(path.read_text())["trace"]
    body = json.dumps(data, separators=(",", ":"))
    path.write_text(json.dumps({"sha256": hashlib.sha256(body.encode()).hexdigest(), "trace": data}))
    with pytest.raises(BadTrace, match="is no trace that this program can read"):
        trace.load(path)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_half_a_trace_file_is_refused(tmp_path: Path, share: float) -> None:
    """A file that was cut off anywhere is damaged, not a shorter run."""
    path = file(tmp_path)
    text = path.read_text()
    path.write_text(text[: int(len(text) * share)])
    with pytest.raises(BadTrace, match="is damaged or no trace"):
        trace.load(path)


def test_a_missing_file_is_refused_with_the_reason(tmp_path: Path) -> None:
    """The name and the system's reason."""
    with pytest.raises(BadTrace, match=r"none\.json cannot be read: No such file"):
        trace.load(tmp_path / "none.json")


def test_a_trace_from_a_file_cannot_be_run(tmp_path: Path) -> None:
    """Its tasks have no bodies; it says what to do instead."""
    it = trace.load(file(tmp_path))
    with pytest.raises(BadTrace, match="replay its run name instead"):
        it.tasks[0].body(None)  # type: ignore[arg-type]  # it does not look


def test_a_trace_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    """All or nothing: where the target is a folder, no part of a file is left beside it."""
    (tmp_path / "run.json").mkdir()
    with pytest.raises(OSError, match=r"run\.json"):
        drawn("move_pages", "mutex_v37").save(tmp_path / "run.json")
    assert [it.name for it in tmp_path.iterdir()] == ["run.json"]


def test_a_write_that_fails_half_way_leaves_the_old_file(tmp_path: Path) -> None:
    """Text that cannot be encoded fails in the middle; what stood there still stands there, and nothing else."""
    path = tmp_path / "run.json"
    path.write_text("old")
    with pytest.raises(UnicodeEncodeError):
        trace.write_whole(path, "new \ud800")
    assert [(it.name, it.read_text()) for it in tmp_path.iterdir()] == [("run.json", "old")]
