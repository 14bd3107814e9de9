"""What a still shows around the machine: threads, locks, the sentence, what changed, the lanes.

A player writes these as text of its own; a still has nothing but marks.
"""

from __future__ import annotations

from collections.abc import Iterator

from vizlib import layout
from vizlib.chrome.around import changed, counts, head, next_tasks, sentence
from vizlib.chrome.lanes import lanes
from vizlib.chrome.locks import locks
from vizlib.chrome.threads import threads
from vizlib.chrome.words import heading
from vizlib.lanes import lanes as lanes_of
from vizlib.scene import Mark, Panel, Scene, Text, scene
from vizlib.stills import Stage, Still, still_panels


def whole(shot: Still, stage: Stage, title: str) -> Scene:
    """Everything that there is to see after one step, as one scene in the coordinates of the stage's panels."""
    run = stage.run
    panels = {it.id: it for it in still_panels(run, stage)}
    machine = [*_frames(stage), *shot.marks.values()]
    marks = [
        *head(shot, run, panels["head"], title),
        *threads(shot, run, panels["threads"]),
        *next_tasks(shot, run, panels["next"]),
        *_heading(panels["machine"], "machine-title"),
        *machine,
        *locks(shot, run, panels["locks"]),
        *changed(shot, panels["changed"]),
        *counts(shot, panels["counts"]),
        *sentence(shot, run, panels["sentence"]),
        *lanes(shot, run, panels["lanes"], *lanes_of(run, run.length)),
    ]
    return scene((*panels.values(), *stage.panels), marks)


def _heading(panel: Panel, name: str) -> Iterator[Mark]:
    yield Mark(f"heading:{name}", panel.id, "text", text=(heading(panel.title, 0, 12 - layout.TITLE),))


def _frames(stage: Stage) -> Iterator[Mark]:
    for panel in stage.panels:
        text = [Text(panel.title, 10, 14, 11, 700)]
        if panel.note:
            text.append(Text(panel.note, panel.w - 10, 14, 9.5, anchor="end", ink="muted"))
        yield Mark(
            f"frame:{panel.id}", panel.id, "rect", 0, 0, panel.w, panel.h, text=tuple(text), fill="card", stroke="edge",
            layer=-2,
        )  # fmt: skip
