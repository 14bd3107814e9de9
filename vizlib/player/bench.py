"""How much of each frame the player's script takes, measured in a real Chromium.

Needs the extra ``test`` (playwright) and a Chromium on the machine.  The film is made up, so that the measure does not
change with the model: 64 marks, of which some travel, turn and change in each step, with threads, locks and lanes.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from vizlib import theme
from vizlib.player import bundle

if TYPE_CHECKING:
    from playwright.sync_api import Page

Film = dict[str, Any]

#: Names under which Linux systems install Chromium.
CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

#: Plays a film, half a step a frame, then jumps about in it, a jump a frame.  The frames' times are taken from a trace.
_PLAY = """async ([source, css, film, jumps]) => {
    const FRAME = 1000 / 60;
    const style = document.createElement('style');
    style.textContent = css;
    document.head.append(style);
    const stamps = [];
    let clock = 0; // a machine that is late must not give a frame more to do: each is told that its time has come
    const real = window.requestAnimationFrame.bind(window);
    window.requestAnimationFrame = callback => real(now => {
        callback(clock += FRAME);
        stamps.push(now);
    });
    const { mount } = await import(URL.createObjectURL(new Blob([source], {type: 'text/javascript'})));
    const host = document.body.appendChild(document.createElement('main'));
    const loading = performance.now();
    const player = mount(host, film, {step: 0});
    const load = performance.now() - loading;
    player.clock.speed = 2000 / (2 * FRAME);
    await new Promise(done => {
        const ended = new MutationObserver(() => player.playing || done());
        player.play();
        ended.observe(player.el, {attributes: true, attributeFilter: ['data-playing']});
    });
    const played = player.step, gaps = stamps.slice(1).map((at, i) => at - stamps[i]);
    for (let jump = 0, at = 7; jump < jumps; jump++, at = (at * 31 + 101) % film.steps.length) {
        await new Promise(done => real(() => {
            player.seek(at);
            player.el.getBoundingClientRect(); // with the layout that it brings about
            done();
        }));
    }
    player.destroy();
    await new Promise(done => setTimeout(done)); // so that the trace has the end of the last frame as well
    return {played, load, gaps};
}"""


def player_frame_times(film: Mapping[str, Any] | None = None, jumps: int = 200) -> dict[str, float]:
    """Start a Chromium, play *film* there (the made-up one if there is none), and say what its frames cost.

    Returns:
        What :func:`measure` does.

    Raises:
        RuntimeError: if there is no Chromium.
    """
    from playwright.sync_api import sync_playwright

    executable = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if executable is None:
        raise RuntimeError("no Chromium found: install it (Debian: apt-get install chromium fonts-dejavu-core)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1200, "height": 900})
        found = measure(page, made_up_film() if film is None else film, jumps)
        browser.close()
    return found


def measure(page: Page, film: Mapping[str, Any], jumps: int) -> dict[str, float]:
    """Play *film* on *page*, then jump about in it.

    Returns:
        ``steps`` of the film; ``frames``; ``p50_ms`` and ``p95_ms``, the processor's time for the script of a frame,
        whatever else the machine does; ``seek_p95_ms``, the same for a jump with its layout; ``late_percent`` of the
        frames that came more than 33 ms after the one before, by the clock on the wall; ``load_ms`` until the first
        picture stood; ``film_bytes``.
    """
    browser = page.context.browser
    assert browser is not None
    browser.start_tracing(page=page, categories=["devtools.timeline"])
    try:
        found = page.evaluate(_PLAY, [bundle.script(), theme.css() + bundle.style(), dict(film), jumps])
    finally:
        trace = json.loads(browser.stop_tracing())
    if found["played"] != len(film["steps"]):
        raise RuntimeError(f"the film stopped at step {found['played']} of {len(film['steps'])}")
    # Chromium leaves a frame that began or ended outside the trace without its duration.
    whole = (it for it in trace["traceEvents"] if it["name"] == "FireAnimationFrame" and "dur" in it)
    times = [it.get("tdur", it["dur"]) / 1000 for it in sorted(whole, key=lambda it: it["ts"])]
    frames, seeks = times[: len(times) - jumps], times[len(times) - jumps :]
    return {
        "steps": len(film["steps"]),
        "frames": len(frames),
        "p50_ms": _percentile(frames, 50),
        "p95_ms": _percentile(frames, 95),
        "seek_p95_ms": _percentile(seeks, 95),
        "late_percent": 100 * sum(gap > 33.5 for gap in found["gaps"]) / len(found["gaps"]),
        "load_ms": found["load"],
        "film_bytes": len(json.dumps(dict(film), ensure_ascii=False, separators=(",", ":")).encode()),
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
