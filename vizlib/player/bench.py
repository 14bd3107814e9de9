"""How much of each frame the player's script takes, measured in a real Chromium.

Needs the extra ``test`` (playwright) and a Chromium on the machine.  The film is made up, so that the measure does not
change with the model: 64 marks, of which some travel, turn and change in each step, with threads, locks and lanes.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from typing import Any

from vizlib import theme
from vizlib.player import bundle

Film = dict[str, Any]

#: Names under which Linux systems install Chromium.
CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

#: Plays a film from end to end at one step a frame, then jumps about in it; notes what each frame cost.
_MEASURE = """async ([source, css, film, jumps]) => {
    const style = document.createElement('style');
    style.textContent = css;
    document.head.append(style);
    const costs = [], stamps = [];
    const real = window.requestAnimationFrame.bind(window);
    window.requestAnimationFrame = callback => real(now => {
        const start = performance.now();
        callback(now);
        costs.push(performance.now() - start);
        stamps.push(now);
    });
    const { mount } = await import(URL.createObjectURL(new Blob([source], {type: 'text/javascript'})));
    const host = document.body.appendChild(document.createElement('main'));
    const loading = performance.now();
    const player = mount(host, film, {step: 0});
    const load = performance.now() - loading;
    player.clock.speed = 2 * 2000 / 16.7;
    await new Promise(done => {
        const ended = new MutationObserver(() => player.playing || done());
        player.play();
        ended.observe(player.el, {attributes: true, attributeFilter: ['data-playing']});
    });
    const played = player.step, frames = [...costs], gaps = stamps.slice(1).map((at, i) => at - stamps[i]);
    const seeks = [];
    for (let jump = 0, at = 7; jump < jumps; jump++, at = (at * 31 + 101) % film.steps.length) {
        const start = performance.now();
        player.seek(at);
        player.el.getBoundingClientRect();
        seeks.push(performance.now() - start);
    }
    player.destroy();
    return {played, load, frames, gaps, seeks};
}"""


def player_frame_times(film: Mapping[str, Any] | None = None, jumps: int = 200) -> dict[str, float]:
    """Play *film* (the made-up one if there is none) as fast as frames come, and say what they cost.

    Returns:
        ``frames``; ``p50_ms`` and ``p95_ms`` of script a frame; ``late_percent`` of frames that came more than 33 ms
        after the one before; ``seek_p95_ms`` for a jump with its layout; ``load_ms`` until the first picture stood;
        ``film_bytes``.

    Raises:
        RuntimeError: if there is no Chromium.
    """
    from playwright.sync_api import sync_playwright

    film = made_up_film() if film is None else dict(film)
    executable = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if executable is None:
        raise RuntimeError("no Chromium found: install it (Debian: apt-get install chromium fonts-dejavu-core)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1200, "height": 900})
        found = page.evaluate(_MEASURE, [bundle.script(), theme.css() + bundle.style(), film, jumps])
        browser.close()
    if found["played"] != len(film["steps"]):
        raise RuntimeError(f"the film stopped at step {found['played']} of {len(film['steps'])}")
    frames = found["frames"]
    return {
        "frames": len(frames),
        "p50_ms": _percentile(frames, 50),
        "p95_ms": _percentile(frames, 95),
        "late_percent": 100 * sum(gap > 33.5 for gap in found["gaps"]) / len(found["gaps"]),
        "seek_p95_ms": _percentile(found["seeks"], 95),
        "load_ms": found["load"],
        "film_bytes": len(json.dumps(film, ensure_ascii=False, separators=(",", ":")).encode()),
    }


def _percentile(values: list[float], percent: int) -> float:
    return sorted(values)[min(len(values) - 1, len(values) * percent // 100)]


PAGES = 16


def made_up_film(steps: int = 2000) -> Film:
    """A film of *steps* steps and 64 marks: 16 PTEs, 16 frames and 16 pages on them, 16 TLB slots."""
    panels = [
        _panel(name, column * 286, row * 130, height)
        for row, (left, right, height) in enumerate(
            (("cpu0", "cpu1", 80), ("pt0", "pt1", 100), ("node0", "node1", 110))
        )
        for column, name in enumerate((left, right))
    ]
    tasks: list[Film] = [
        {"id": f"task-{n}", "letter": "abcd"[n], "cpu": n % 2, "colour": f"task{n}", "kind": "thread"} for n in range(4)
    ]
    threads = {task["id"]: {"state": "ready", "status": "", "stack": [[0, 1]]} for task in tasks}
    locks = {
        f"lock:{n}": {"title": f"lock {n}", "kind": "mutex", "rank": 10 * n, "holders": [], "waiters": []}
        for n in range(5)
    }
    return {
        "format": "rmapwalk-film", "version": 1, "title": "a made-up film", "run_name": "none none", "world": "none",
        "variant": "none", "variant_title": "", "params": {}, "stage": {"w": 560, "h": 370}, "panels": panels,
        "tasks": tasks, "first": _marks(), "texts": [], "sources": _sources(), "focus": ["pte:0"], "focus_label": "p0",
        "start": {"sentence": "the start", "next": [], "blocked": [], "counts": {}, "threads": threads, "locks": locks},
        "steps": [_step(n) for n in range(1, steps + 1)],
        "lanes": [_lane(tasks[n % 4]["id"], n * 20) for n in range(steps // 20)], "arrows": [], "violation": None,
    }  # fmt: skip


def _panel(name: str, x: int, y: int, h: int) -> Film:
    return {"id": name, "title": name, "x": x, "y": y, "w": 274, "h": h, "in": "machine", "frame": True}


def _place(number: int, what: str) -> Film:
    """The panel of the *number*-th thing of a kind, and the place in it."""
    return {"panel": f"{what}{number // 8}", "x": 8 + number % 4 * 66, "y": 22 + number % 8 // 4 * 40}


def _marks() -> Film:
    marks: Film = {}
    for n in range(PAGES):
        marks[f"pte:{n}"] = {
            **_place(n, "pt"),
            "w": 60,
            "h": 34,
            "text": _text(n, "pt", f"→ f{n}"),
            "stroke": "edge",
            "face": "present",
        }
        marks[f"page:{n}"] = {**_place(n, "node"), "w": 60, "h": 36, "fill": "well", "stroke": "edge"}
        marks[f"token:{n}"] = {
            **_place(n, "node"),
            "w": 40,
            "h": 20,
            "shape": "token",
            "fill": "page",
            "text": _text(n, "node", f"p{n}"),
        }
        marks[f"tlb:{n}"] = {**_place(n, "cpu"), "w": 28, "h": 20, "text": _text(n, "cpu", f"p{n}"), "stroke": "edge"}
    return marks


def _text(number: int, what: str, words: str) -> list[Film]:
    place = _place(number, what)
    return [{"s": words, "x": place["x"] + 20, "y": place["y"] + 14, "size": 11, "anchor": "middle"}]


def _step(step: int) -> Film:
    """A page travels, a PTE turns, a TLB slot changes, a lock changes hands, a thread moves on."""
    page, task = step % PAGES, f"task-{step % 4}"
    far = (page + step // PAGES % 2 * 8) % PAGES
    face = ("present", "migration")[step // PAGES % 2]
    marks = {
        f"token:{page}": {**_place(far, "node"), "text": _text(far, "node", f"p{page}")},
        f"pte:{page}": {"face": face, "text": _text(page, "pt", face), "stroke": task.replace("task-", "task")},
        f"tlb:{page}": {"text": _text(page, "cpu", f"p{step % 10}"), "dashed": step % 3 == 0},
    }
    return {
        "task": task, "sentence": f"{task} moves page {page} and says so in a sentence of some length, step {step}.",
        "marks": marks, "flags": ["lock"],
        "changed": [{"what": f"PTE of p{page}", "from": "a", "to": face, "mark": f"pte:{page}"}],
        "locks": {f"lock:{step % 5}": {"holders": [{"task": task, "mode": ""}] if step % 2 else []}},
        "threads": {task: {"state": "running", "stack": [[0, 1], [0, 2 + step % 6]]}}, "counts": {"locks": step},
        "next": [{"task": task, "why": "go on"}],
    }  # fmt: skip


def _lane(task: str, start: int) -> Film:
    return {"task": task, "from": start, "to": start + 19, "kind": "hold", "label": "a lock", "rank": 20}


def _sources() -> list[Film]:
    lines = ["def move(k):", *(f"    yield step_{n}" for n in range(8))]
    return [{"function": "move", "file": "none.py", "kernel": "", "first": 1, "lines": lines}]
