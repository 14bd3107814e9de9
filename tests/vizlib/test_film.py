"""A film holds everything that a player needs, in few bytes, the same every time."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sim import trace as traces
from sim.engines.stepper import Stepper
from sim.ops import Choose
from tests.vizlib import runs
from vizlib import film as face
from vizlib.film import FORMAT, VERSION, film, to_text
from vizlib.moments import Run
from vizlib.scene import apply, mark_from_json, text_to_json
from vizlib.showcase import showcase
from vizlib.stills import MOST_STEPS, Stage, stills

each_run = pytest.mark.parametrize("name", runs.NAMES, ids=" ".join)


#: A function that only this model has, such as ``_grow``; the kernel's own begin with two underscores.
PRIVATE = re.compile("_[^_]")


def uninterned(it: dict[str, Any], data: dict[str, Any] | None) -> dict[str, Any] | None:
    """A mark's JSON with its texts in place of their number."""
    if data is None or "text" not in data:
        return data
    return {**data, "text": it["texts"][data["text"]]}


@each_run
def test_the_differences_give_back_every_scene(name: tuple[str, str]) -> None:
    """Played from the start, a film shows exactly the marks that the lenses made for each step."""
    it = json.loads(to_text(runs.the_film(*name)))
    shots, _ = runs.shots(*name)
    marks = {key: mark_from_json(key, uninterned(it, mark) or {}) for key, mark in it["first"].items()}
    assert marks == shots[0].marks
    for shot, step in zip(shots[1:], it["steps"], strict=True):
        marks = apply(marks, {key: uninterned(it, mark) for key, mark in step.get("marks", {}).items()})
        assert marks == shot.marks
        assert step["sentence"] == shot.sentence


@each_run
def test_threads_and_locks_can_be_followed(name: tuple[str, str]) -> None:
    """Partial changes add up to what each still says of threads and locks."""
    it = runs.the_film(*name)
    shots, _ = runs.shots(*name)
    people, locks = dict(it["start"]["threads"]), dict(it["start"]["locks"])
    for shot, step in zip(shots[1:], it["steps"], strict=True):
        for task, change in step.get("threads", {}).items():
            people[task] = {**people[task], **change}
        for lock, change in step.get("locks", {}).items():
            if change is None:
                del locks[lock]
            else:
                locks[lock] = {**locks.get(lock, {}), **change}
        assert {task: (data["state"], data["status"]) for task, data in people.items()} == {
            task: (thread.state, thread.status) for task, thread in shot.threads.items()
        }
        holders = {key: [(h["task"], h["mode"]) for h in lock["holders"]] for key, lock in locks.items()}
        assert holders == {key: [tuple(h) for h in lock.holders] for key, lock in shot.locks.items()}


@each_run
def test_who_could_run_is_what_the_machine_says(name: tuple[str, str]) -> None:
    """Nobody is both able and unable, and every thread that has not finished is one of the two or stands still."""
    run = runs.trace(*name)
    for shot in runs.shots(*name)[0]:
        could = [task for task, _ in shot.next]
        assert tuple(could) == run.runnable[shot.moment.step]
        assert not {task for task, _ in shot.blocked} & set(could)


@each_run
def test_every_line_on_a_stack_is_in_the_sources(name: tuple[str, str]) -> None:
    """The line that ran is a line of our coroutine, and it yields; every kernel function cites the kernel's."""
    it = runs.the_film(*name)
    for step in it["steps"]:
        stack = (
            step["threads"][step["task"]]["stack"] if "stack" in step.get("threads", {}).get(step["task"], {}) else []
        )
        for number, line in stack:
            found = it["sources"][number]
            words = found["lines"][line - found["first"]]
            assert "yield" in words or words.strip().startswith(("if ", "while ", ")", "mapped")), words
    ours = [found for found in it["sources"] if found["file"].startswith("sim/kernel/")]
    assert ours
    assert [found["function"] for found in ours if not found["kernel"] and not PRIVATE.match(found["function"])] == []


def test_lesson_films_are_small() -> None:
    """At most 300 KB, and without the functions' docstrings."""
    for name in runs.NAMES:
        text = to_text(runs.the_film(*name))
        assert len(text.encode()) <= 300_000, name
        assert "Caller holds" not in text


def test_a_long_run_is_cut_and_says_so() -> None:
    """At most 2,000 steps; ``cut`` is how many are missing."""
    run = showcase("move_pages?pages=32")
    it = film(run)
    assert len(it["steps"]) == min(len(run.events), MOST_STEPS)
    assert it["cut"] == len(run.events) - len(it["steps"])


def test_a_film_says_what_it_is() -> None:
    """Format, version, world, variant, run name, tasks with their colours, the place of the violation."""
    it = runs.the_film("stack_grows", "rfc_remap_unlocked")
    assert (it["format"], it["version"]) == (FORMAT, VERSION)
    assert it["run_name"].startswith("stack_grows?passes=2 rfc_remap_unlocked ")
    assert [(task["id"], task["kind"], task["cpu"]) for task in it["tasks"]] == [
        ("main", "thread", 0),
        ("worker", "thread", 1),
        ("ipi@cpu0", "handler", 0),
        ("ipi@cpu1", "handler", 1),
    ]
    assert it["tasks"][0]["colour"] == it["tasks"][2]["colour"] != it["tasks"][1]["colour"]
    assert it["violation"]["kind"] == "stale migration entry"
    assert it["violation"]["step"] == len(it["steps"])
    assert "bug" in it["steps"][-1]["flags"]
    assert "open_at" not in it
    assert film(runs.trace(), open_at=7)["open_at"] == 7


def test_counts_add_up() -> None:
    """Two walks, one flush, one interrupt, one copy for one page."""
    counts = dict(runs.the_film()["start"]["counts"])
    for step in runs.the_film()["steps"]:
        counts |= step.get("counts", {})
    assert counts == {"locks": 2, "flushes": 1, "interrupts": 1, "copies": 1}


def test_flags_mark_where_to_stop() -> None:
    """A preemption is a change of task while the old one could go on; a decision needs two who could run."""
    it = runs.the_film()
    run = runs.trace()
    for number, (event, step) in enumerate(zip(run.events, it["steps"], strict=True)):
        before = run.events[number - 1].task if number else event.task
        preempted = before is not event.task and before.name in run.runnable[number]
        assert ("preempt" in step.get("flags", [])) == preempted
        if "decision" in step.get("flags", []):
            assert len(run.runnable[number + 1]) >= 2
        assert ("pte" in step.get("flags", [])) == any(change.field.base == "pte" for change in event.changes)
    assert "decision" in it["start"]["flags"]
    decisions = sum("decision" in step.get("flags", []) for step in it["steps"])
    assert 5 <= decisions <= len(it["steps"]) / 2  # a place to stop, not every place


def test_changed_fields_point_to_their_marks() -> None:
    """Each has a name, an old and a new value, and the mark or lock that shows it."""
    it = runs.the_film()
    ids = {*it["first"], *(key for step in it["steps"] for key in step.get("marks", {})), *it["start"]["locks"]}
    changed = [change for step in it["steps"] for change in step.get("changed", [])]
    assert {"what": "PTE of p0", "from": "→ f0, dirty", "to": "none", "mark": "pte:P:0"} in changed
    for change in changed:
        assert change["from"] != change["to"]
        assert change.get("mark", "pte:P:0") in ids
    assert sum("mark" in change for change in changed) > 0.9 * len(changed)


def test_lanes_cover_what_was_held_and_waited_for() -> None:
    """Both walks under the anon_vma lock are bars of the migrator; the copy lies between them."""
    it = runs.the_film()
    holds = [bar for bar in it["lanes"] if bar["label"] == "anon_vma lock of A_heap" and bar["kind"] == "hold"]
    (copy,) = [bar for bar in it["lanes"] if bar["kind"] == "copy"]
    assert [bar["task"] for bar in holds] == ["migrator", "migrator"]
    assert holds[0]["to"] < copy["from"] < holds[1]["from"]
    (arrow,) = it["arrows"]
    assert (arrow["from"], arrow["to"]) == ("migrator", "worker")
    assert arrow["sent"] < arrow["taken"]


def test_a_saved_trace_gives_the_same_film(tmp_path: Path) -> None:
    """A file draws the same picture as the live run."""
    runs.trace().save(tmp_path / "run.json")
    assert to_text(film(traces.load(tmp_path / "run.json"))) == to_text(runs.the_film())


def test_a_film_is_the_same_bytes_in_every_process() -> None:
    """Whatever the order in which sets and hashes come."""
    script = (
        "import hashlib; from vizlib.film import film, to_text; from vizlib.showcase import showcase;"
        "print(hashlib.sha256(to_text(film(showcase('two_migrators'))).encode()).hexdigest())"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", script],
            env={"PYTHONHASHSEED": seed},
            cwd=Path(face.__file__).parent.parent,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(found) == 1


def test_texts_are_kept_once() -> None:
    """No two entries of the table are the same."""
    for name in runs.NAMES:
        texts = [json.dumps(it) for it in runs.the_film(*name)["texts"]]
        assert len(texts) == len(set(texts))
    shot = runs.shots()[0][0]
    assert [text_to_json(it) for it in shot.marks["pte:P:0"].text] in runs.the_film()["texts"]


def test_the_default_runs_are_worth_looking_at() -> None:
    """Deterministic; every world has one; one_page shows a stale write, the unsafe cell its counterexample."""
    assert showcase("one_page").run_name == runs.trace().run_name
    assert any("STALE" in shot.sentence for shot in runs.shots()[0])
    assert runs.trace("stack_grows", "rfc_remap_unlocked").violation is not None
    for name in runs.NAMES[:-1]:
        assert not any(isinstance(event.op, Choose) for event in runs.trace(*name).events)


def test_an_unfinished_run_does_not_call_a_waiting_thread_finished() -> None:
    """Cut the run where worker waits for a lock: it is unable to run, it waits, and it has not finished."""
    whole = runs.trace()
    waiting = next(shot for shot in runs.shots()[0] if shot.threads["worker"].state == "spinning")
    step = waiting.moment.step
    stepper = Stepper("one_page", "mutex_v37", **whole.params).play(whole.turns[:step])
    run = Run(stepper.trace)
    shot = list(stills(run, Stage(run)))[step]
    assert "worker" not in shot.done
    assert shot.threads["worker"].state in ("waiting", "spinning")
    assert [task for task, _ in shot.blocked] == ["worker"]
    assert "finished" not in dict(shot.blocked)["worker"]
    assert "migrator" in [task for task, _ in shot.next]


def test_the_focus_is_the_page_that_moves() -> None:
    """Not the one that the growing stack maps first: "next change of" follows the page that is copied."""
    assert runs.the_film("stack_grows")["focus_label"] == "p1016"
    assert runs.the_film()["focus"] == ["pte:P:0", "token:P:0"]


@each_run
def test_what_stands_until_a_step_says_otherwise(name: tuple[str, str]) -> None:
    """Who could run, who not and why, who has finished, and the counts: followed through the film, as in each still."""
    it = runs.the_film(*name)
    shots, _ = runs.shots(*name)
    now = {key: it["start"][key] for key in ("next", "blocked", "done", "counts")}
    for shot, step in zip(shots, [it["start"], *it["steps"]], strict=True):
        now["done"] = step.get("done", now["done"])
        for key in ("next", "blocked"):
            if not isinstance(step.get(key, []), list):
                whys = {pair["task"]: pair["why"] for pair in now[key]} | step[key]
                tasks = [task["id"] for task in it["tasks"] if whys.get(task["id"]) is not None]
                now[key] = [{"task": task, "why": whys[task]} for task in tasks]
        now["counts"] = {**now["counts"], **step.get("counts", {})}
        assert [(pair["task"], pair["why"]) for pair in now["next"]] == list(shot.next)
        assert [(pair["task"], pair["why"]) for pair in now["blocked"]] == list(shot.blocked)
        assert now["done"] == list(shot.done)
        assert now["counts"] == shot.counts


@each_run
def test_stacks_are_those_of_the_trace(name: tuple[str, str]) -> None:
    """Outermost first, with the lines that ran; only the calls that are one operation each are left out."""
    run = runs.trace(*name)
    it = runs.the_film(*name)
    stacks: dict[str, list[list[int]]] = {task: data["stack"] for task, data in it["start"]["threads"].items()}
    for event, step, stack in zip(run.events, it["steps"], run.stacks, strict=True):
        for task, change in step.get("threads", {}).items():
            stacks[task] = change.get("stack", stacks[task])
        found = [(it["sources"][number]["function"], line) for number, line in stacks[event.task.name]]
        assert found == [(frame.function, frame.line) for frame in stack if frame.file != "sim/sync.py"]
