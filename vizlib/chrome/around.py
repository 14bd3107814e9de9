"""The words of a still: its head, who could run next, what changed, the counts, the sentence."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from vizlib.chrome.words import heading, shorten, width
from vizlib.moments import Run
from vizlib.scene import Mark, Panel, Text
from vizlib.stills import COUNTS, Still


def head(shot: Still, run: Run, panel: Panel, title: str) -> Iterator[Mark]:
    """The title of the run and the step."""
    trace = run.trace
    params = ", ".join(f"{key} {it}" for key, it in trace.params.items())
    below = f"world {trace.world}{f' ({params})' if params else ''} · variant {trace.variant}: {trace.variant_title}"
    step = f"step {shot.moment.step} of {run.length}"
    size = 19 if len(title) < 95 else 15
    yield Mark(
        "head",
        panel.id,
        "text",
        text=(
            Text(title, 0, 24, size, 700),
            Text(shorten(below, panel.w - 160, 12), 0, 46, 12, ink="muted"),
            Text(step, panel.w, 24, 16, 700, anchor="end"),
        ),
    )


def next_tasks(shot: Still, run: Run, panel: Panel) -> Iterator[Mark]:
    """Who could run instead, and why the others cannot."""
    yield Mark("heading:next", panel.id, "text", text=(heading(panel.title),))
    x, y = 0.0, 22.0
    pills: list[tuple[str, str, str, bool]] = []
    for task, why in shot.next:
        actor = next(it for it in run.actors if it.name == task)
        words = f"{actor.cpu_name}: {why}" if actor.kind == "handler" else f"{task}: {why}"
        pills.append((task, words, actor.colour, True))
    for task, why in shot.blocked:
        actor = next(it for it in run.actors if it.name == task)
        pills.append((task, f"{task} {why}", actor.colour, False))
    if not pills:
        words = "nobody: all threads have finished" if run.trace.violation is None else "nobody: the run has ended"
        yield Mark("next:nobody", panel.id, "text", text=(Text(words, 0, 36, 11.5, style="italic", ink="muted"),))
    for number, (task, told, colour, can) in enumerate(pills):
        words = shorten(told, panel.w - 20, 11, bold=True)
        w = width(words, 11, bold=True) + 18
        if x + w > panel.w:
            x, y = 0.0, y + 28
        if y + (46 if number < len(pills) - 1 else 24) > panel.h:
            left = len(pills) - number
            yield Mark(
                "next:more",
                panel.id,
                "text",
                text=(Text(f"and {left} more", 4, y + 14, 11, style="italic", ink="muted"),),
            )
            return
        yield Mark(
            f"next:{task}",
            panel.id,
            "pill",
            x,
            y,
            w,
            22,
            text=(Text(words, x + w / 2, y + 15, 11, 600, anchor="middle", ink=colour if can else "muted"),),
            fill="well" if can else "none",
            stroke="edge" if can else "muted",
            dashed=not can,
            say=f"{words}{'' if can else ' (cannot run)'}",
        )
        x += w + 8


def changed(shot: Still, panel: Panel) -> Iterator[Mark]:
    """Every field that the step changed, with its old and new value."""
    text = [heading(panel.title, 14, 22)]
    room = int((panel.h - 34) // 19)
    shown = shot.changed[:room] if len(shot.changed) <= room else shot.changed[: room - 1]
    ink = shot.moment.actor.colour if shot.moment.actor else "ink"
    for number, (what, old, new, _) in enumerate(shown):
        y = 44 + 19 * number
        values = shorten(f"{old} ⇒ {new}", panel.w * 0.62, 10.5)
        left = panel.w - 36 - width(values, 10.5)
        text.append(Text(shorten(what, left, 11), 14, y, 11, 700))
        text.append(Text(values, panel.w - 12, y, 10.5, 600, anchor="end", ink=ink))
    if len(shown) < len(shot.changed):
        more = f"and {len(shot.changed) - len(shown)} more"
        text.append(Text(more, 14, 44 + 19 * len(shown), 11, ink="muted"))
    if not shot.changed:
        words = "nothing: this step only looked" if shot.moment.event else "nothing has happened yet"
        text.append(Text(words, 14, 44, 11, style="italic", ink="muted"))
    yield Mark("changed", panel.id, "rect", 0, 0, panel.w, panel.h, text=tuple(text), fill="card", stroke="edge")


def counts(shot: Still, panel: Panel) -> Iterator[Mark]:
    """What has been counted so far."""
    text = [heading(panel.title, 14, 22)]
    words = {"locks": "anon_vma locks", "flushes": "flushes", "interrupts": "IPIs", "copies": "copies"}
    x = 14.0
    for name in COUNTS:
        number = str(shot.counts[name])
        text.append(Text(number, x, 53, 18, 700))
        text.append(Text(words[name], x + width(number, 18, bold=True) + 4, 53, 10.5, ink="muted"))
        x += width(number, 18, bold=True) + 5 + width(words[name], 10.5) + 12
    yield Mark("counts", panel.id, "rect", 0, 0, panel.w, panel.h, text=tuple(text), fill="card", stroke="edge")


def sentence(shot: Still, run: Run, panel: Panel) -> Iterator[Mark]:
    """The sentence across; with the violation if the run ends here with one."""
    actor = shot.moment.actor
    violation = run.trace.violation
    words = shot.sentence
    bad = violation is not None and shot.moment.step == run.length
    fits = 140
    lines = textwrap.wrap(words, fits)[:3]
    size = 16 if len(lines) == 1 else 14.5 if len(lines) == 2 else 12.5
    first = panel.h / 2 + size * 0.36 - (len(lines) - 1) * size * 0.68
    text = [
        Text(line, 24, first + number * size * 1.36, size, 600 if bad else 400) for number, line in enumerate(lines)
    ]
    yield Mark(
        "sentence",
        panel.id,
        "rect",
        0,
        0,
        panel.w,
        panel.h,
        text=tuple(text),
        fill="wash",
        stroke="bad" if bad else "none",
        bold=bad,
        say=words,
    )
    if actor is not None:
        yield Mark("sentence:who", panel.id, "rect", 0, 0, 8, panel.h, fill=actor.colour, radius=4, layer=1)
