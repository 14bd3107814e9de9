"""Thread cards: state, call stack, and the source lines around the one that ran."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from vizlib import layout
from vizlib.chrome.words import heading, shorten, width
from vizlib.lenses.task import STATES, Thread
from vizlib.moments import Actor, Run
from vizlib.scene import Mark, Panel, Text
from vizlib.sources import source
from vizlib.stills import Still

#: Lines of a call stack in a thread card, and source lines around the one that ran.
STACK_LINES, SOURCE_LINES = 5, 3


def threads(shot: Still, run: Run, panel: Panel) -> Iterator[Mark]:
    """The cards of the first threads."""
    actors = [it for it in run.actors if it.kind != "handler"]
    yield Mark("heading:threads", panel.id, "text", text=(heading(panel.title),))
    full = len(actors) <= layout.FULL_CARDS
    height = layout.FULL_CARD if full else layout.SMALL_CARD
    y: float = layout.TITLE
    for actor in actors[: layout.MOST_CARDS]:
        box = layout.Box(0, y, panel.w, height)
        yield from _card(actor, shot.threads[actor.name], box, shot, full)
        y += height + layout.CARD_GAP
    if len(actors) > layout.MOST_CARDS:
        more = f"and {len(actors) - layout.MOST_CARDS} more threads"
        yield Mark("threads:more", panel.id, "text", text=(Text(more, 4, y + 8, 12, style="italic", ink="muted"),))


def _card(actor: Actor, it: Thread, box: layout.Box, shot: Still, full: bool) -> Iterator[Mark]:
    acts = it.state == "running"
    waiting = it.state in ("waiting", "spinning")
    name_width = width(actor.name, 14, bold=True)
    state_ink = "muted" if waiting or it.state == "done" else actor.colour
    text = [
        Text(actor.name, 32, box.y + 23, 14, 700),
        Text(f"on {actor.cpu_name}", 42 + name_width, box.y + 23, 12, ink="muted"),
        Text(STATES[it.state], box.w - 12, box.y + 23, 12, 700, anchor="end", ink=state_ink),
    ]
    y = box.y + 40
    intents = dict(shot.next)
    status = it.status or (f"next: {intents[actor.name]}" if actor.name in intents else "")
    text.append(Text(shorten(status, box.w - 30, 11), 15, y, 11, style="italic", ink="muted"))
    if full:
        text += _stack_lines(it, y + 18)
    yield Mark(
        f"thread:{actor.name}",
        "threads",
        "rect",
        *box,
        text=tuple(text),
        fill="card",
        stroke=actor.colour if acts else "edge",
        bold=acts,
        dashed=waiting,
        say=f"{actor.name} on {actor.cpu_name}: {STATES[it.state]}{f', {it.status}' if it.status else ''}",
        face=it.state,
    )
    yield Mark(f"thread:{actor.name}:dot", "threads", "dot", 12, box.y + 12, 12, 12, fill=actor.colour, layer=1)
    yield from _lines(actor, it, box, full)


def _stack_lines(it: Thread, y: float) -> list[Text]:
    frames = it.stack[-STACK_LINES:]
    hidden = len(it.stack) - len(frames)
    texts = []
    for number, frame in enumerate(frames):
        words = frame.function
        if number == 0 and hidden:
            words = f"… {words}"
        last = number == len(frames) - 1
        texts.append(
            Text(
                words,
                16 + 8 * number,
                y + 14 * number,
                11,
                700 if last else 400,
                mono=True,
                ink="ink" if last else "muted",
            )
        )
    return texts


def _lines(actor: Actor, it: Thread, box: layout.Box, full: bool) -> Iterator[Mark]:
    """The source lines around the one that ran, or that would run next."""
    if not it.stack or it.state == "done":
        return
    frame = it.stack[-1]
    found = source(frame.function, frame.file, frame.line)
    number = SOURCE_LINES if full else 1
    height = 17
    top = box.bottom - 8 - number * height
    at = frame.line - found["first"]
    shown = _window(found["lines"], at, number)
    acts = it.state == "running"
    words: list[Text] = []
    for row, (line, source_text) in enumerate(shown):
        y = top + row * height + 12.5
        words.append(Text(str(line + found["first"]), 36, y, 9.5, anchor="end", ink="muted", mono=True))
        room = box.w - 60
        words.append(Text(shorten(source_text.strip("\n"), room, 10, mono=True), 44, y, 10, mono=True))
    yield Mark(
        f"source:{actor.name}",
        "threads",
        "rect",
        8,
        top - 2,
        box.w - 16,
        number * height + 3,
        fill="well",
        radius=5,
        layer=1,
    )
    for row in [row for row, (line, _) in enumerate(shown) if line == at]:
        yield Mark(
            f"source:{actor.name}:line",
            "threads",
            "rect",
            8,
            top + row * height - 1,
            box.w - 16,
            height,
            fill="wash" if acts else "none",
            stroke="wash-edge" if acts else "muted",
            dotted=not acts,
            radius=3,
            layer=2,
        )
    yield Mark(f"source:{actor.name}:text", "threads", "text", 8, top, box.w - 16, 0, text=tuple(words), layer=3)


def _window(lines: Sequence[str], at: int, number: int) -> list[tuple[int, str]]:
    """*number* lines around line *at*, empty ones left out, with their indices and without common indent."""
    full = [(index, line) for index, line in enumerate(lines) if line.strip() or index == at]
    place = next((place for place, (index, _) in enumerate(full) if index == at), 0)
    first = max(0, min(place - number // 2, len(full) - number))
    shown = full[first : first + number]
    indent = min((len(line) - len(line.lstrip()) for _, line in shown if line.strip()), default=0)
    return [(index, line[indent:]) for index, line in shown]
