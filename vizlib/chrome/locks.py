"""Lock cards, in lock order: a padlock, who holds it, who waits."""

from __future__ import annotations

from collections.abc import Iterator

from vizlib import layout
from vizlib.chrome.words import heading, width
from vizlib.lenses.lock import Hold, Lock
from vizlib.moments import Actor, Run
from vizlib.scene import Mark, Panel, Text
from vizlib.stills import Still


def locks(shot: Still, run: Run, panel: Panel) -> Iterator[Mark]:
    """The cards of the locks that are shown now."""
    yield Mark("heading:locks", panel.id, "text", text=(heading(panel.title),))
    y: float = layout.TITLE
    room = int((panel.h - layout.TITLE + layout.LOCK_GAP) // (layout.LOCK_CARD + layout.LOCK_GAP))
    shown = sorted(shot.locks, key=lambda name: _importance(name, shot))[:room]
    if len(shown) < len(shot.locks):
        more = f"{len(shot.locks) - len(shown)} more not shown"
        yield Mark("locks:more", panel.id, "text", text=(Text(more, panel.w, 12, 11, anchor="end", ink="muted"),))
    for name, lock in shot.locks.items():
        if name not in shown:
            continue
        yield from _lock(name, lock, layout.Box(0, y, panel.w, layout.LOCK_CARD), shot, run)
        y += layout.LOCK_CARD + layout.LOCK_GAP


def _lock(name: str, lock: Lock, box: layout.Box, shot: Still, run: Run) -> Iterator[Mark]:
    touched = any(mark == name for *_, mark in shot.changed)
    actor = shot.moment.actor
    held = bool(lock.holders)
    first = actor_called(run, lock.holders[0].task) if held else None
    free = () if held else (Text("free", 44, box.y + 45, 11, style="italic", ink="muted"),)
    yield Mark(
        name,
        "locks",
        "rect",
        *box,
        text=(
            Text(lock.title, 44, box.y + 22, 13, 700),
            Text(lock.kind, box.w - 12, box.y + 22, 11, anchor="end", ink="muted"),
            *free,
        ),
        fill="card",
        stroke=actor.colour if touched and actor else "edge",
        bold=touched,
        say=f"{lock.title} ({lock.kind}): {_say(lock)}",
        face="held" if held else "free",
    )
    yield Mark(
        f"{name}:glyph", "locks", "lock", 14, box.y + 12, 18, 22, fill=first.colour if first else "none",
        stroke=first.colour if first else "muted", face="held" if held else "free", layer=1,
    )  # fmt: skip
    x = 44.0
    for word, holds, dashed in (("held by", lock.holders, False), ("waiting", lock.waiters, True)):
        if not holds:
            continue
        label = "read by" if word == "held by" and holds[0].mode == "read" else word
        yield Mark(f"{name}:{word}", "locks", "text", text=(Text(label, x, box.y + 45, 11, ink="muted"),), layer=1)
        x += width(label, 11) + 6
        for hold in holds:
            w = width(hold.task, 11.5, bold=True) + 14
            if x + w > box.w - 4:
                yield Mark(f"{name}:more", "locks", "text", text=(Text("…", x, box.y + 45, 12, ink="muted"),), layer=1)
                break
            colour = actor_called(run, hold.task).colour
            yield Mark(
                f"{name}:{word}:{hold.task}",
                "locks",
                "pill",
                x,
                box.y + 31,
                w,
                20,
                text=(Text(hold.task, x + w / 2, box.y + 45, 11.5, 700, anchor="middle", ink=colour),),
                fill="none" if dashed else "well",
                stroke=colour if dashed else "edge",
                dashed=dashed,
                layer=1,
            )
            x += w + 8


def _say(lock: Lock) -> str:
    def names(holds: tuple[Hold, ...]) -> str:
        return ", ".join(f"{it.task}{' (read)' if it.mode else ''}" for it in holds)

    if not lock.holders:
        return "free"
    return f"held by {names(lock.holders)}" + (f"; waiting: {names(lock.waiters)}" if lock.waiters else "")


def _importance(name: str, shot: Still) -> tuple[bool, bool, bool, bool]:
    """What is shown where not everything fits: the lock of this step, locks that are waited for, those always there."""
    lock = shot.locks[name]
    touched = any(mark == name for *_, mark in shot.changed)
    plain = lock.title.startswith(("page lock", "lock of page table", "page-table lock"))
    return (not touched, not lock.waiters, plain, not lock.holders)


def actor_called(run: Run, name: str) -> Actor:
    """The task called *name*."""
    return next(it for it in run.actors if it.name == name)
