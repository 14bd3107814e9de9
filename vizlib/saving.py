"""Writing files: all or nothing, and lanes in every form that they have."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from sim import trace
from sim.errors import BadParameter, CannotWrite
from vizlib.scene import Json

#: What lanes can be written as.
LANES = (".html", ".svg", ".png", ".json")

#: What is said of a file to which lanes are written.
LANES_HELP = "where to: .html can be zoomed, .svg and .png are stills, .json opens in Perfetto (ui.perfetto.dev)"


def lanes_target(name: str) -> Path:
    """Where lanes go.

    Raises:
        BadParameter: if the suffix is none of those.
    """
    target = Path(name)
    if target.suffix not in LANES:
        raise BadParameter(f"lanes are written as .html, .svg, .png or .json, and '{name}' has another suffix")
    return target


def lanes_file(made: Json, heading: str, dark: bool, part: Path) -> None:
    """Write lanes as :mod:`vizlib.timeline` makes them, as the suffix of *part* says."""
    if part.suffix == ".html":
        from vizlib.renderers.html import page

        text_file(part, page(made))
        return
    if part.suffix == ".json":
        from vizlib.perfetto import perfetto

        text_file(part, json.dumps(perfetto(made)) + "\n")
        return
    from vizlib import charts
    from vizlib.timeline import bars

    tasks = [it["task"] for it in made["lanes"]]
    its, clock = bars(made, moments=made["times"] == "recorded"), f"ns, {made['times']}"
    figure = charts.lanes(tasks, its, length=made["end"], x=clock, title=heading, mode="dark" if dark else "light")
    charts.save_chart(figure, part)


def text_file(part: Path, text: str) -> None:
    """Write text as UTF-8."""
    part.write_text(text, encoding="utf-8")


def write(target: Path, write: Callable[[Path], None]) -> None:
    """Have *write* make the file, all or nothing.

    Raises:
        CannotWrite: if it cannot be, with the reason.
    """
    try:
        with trace.whole(target) as part:
            write(part)
    except OSError as error:
        raise CannotWrite(target, error) from error
