"""What theory says of a point, drawn onto a chart that is there already: at once, since nothing is drawn anew."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from sim.analysis.demands import Prediction
from vizlib import theme

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Picture:
    """A chart as it was drawn.

    Attributes:
        png: its bytes.
        width, height: its size in pixels.
        left, top, right, bottom: where its axes are (pixels, from the left and from the top).
        at: from a point of its axes to pixels, from the left and from the top.
    """

    png: bytes
    width: float
    height: float
    left: float
    top: float
    right: float
    bottom: float
    at: Callable[[float, float], tuple[float, float]]

    @classmethod
    def of(cls, png: bytes, figure: Figure) -> Picture:
        """*png* is what *figure* looks like."""
        width, height = (float(it) for it in figure.bbox.size)
        axes = figure.axes[0]
        box, to_pixels = axes.bbox, axes.transData

        def at(x: float, y: float) -> tuple[float, float]:
            left, up = to_pixels.transform((x, y))
            return float(left), height - float(up)

        return cls(png, width, height, box.x0, height - box.y1, box.x1, height - box.y0, at)


def foretold(picture: Picture, x: float, said: Prediction) -> str:
    """An SVG to lie over *picture*: a bar between the bounds at *x*, and a hollow mark for what is likely, if told.

    Where that is beyond the axes it stands at their edge, with an arrow that says so.
    """
    (across, middle), (_, low), (_, high) = (
        picture.at(x, it) for it in (said.pages_per_second, said.at_least, said.at_most)
    )
    beyond = ("\N{UPWARDS ARROW}" if middle < picture.top else "") + (
        "\N{RIGHTWARDS ARROW}" if across > picture.right else ""
    )
    across = min(max(across, picture.left), picture.right)
    middle, low, high = (min(max(it, picture.top), picture.bottom) for it in (middle, low, high))
    colour, paper = theme.colour("ink", "light"), theme.colour("paper", "light")
    words = f"theory: {said} {beyond}".strip()
    toward, anchor = (-10, "end") if across > picture.width / 2 else (10, "start")
    down = 20 if middle < picture.top + 20 else -10
    text = (
        f"x='{across + toward:.1f}' y='{middle + down:.1f}' text-anchor='{anchor}' font-size='13' font-weight='bold'"
        f" font-family='sans-serif' fill='{colour}' stroke='{paper}' stroke-width='4' paint-order='stroke'"
    )
    likely = f"<circle cx='{across:.1f}' cy='{middle:.1f}' r='5' fill='{paper}' stroke='{colour}' stroke-width='2'/>"
    return (
        f"<svg role='img' aria-label='{escape(words)} pages per second' viewBox='0 0 {picture.width:g}"
        f" {picture.height:g}' style='position: absolute; inset: 0; width: 100%; height: 100%'>"
        f"<path d='M{across:.1f} {low:.1f}V{high:.1f}M{across - 5:.1f} {low:.1f}h10M{across - 5:.1f} {high:.1f}h10'"
        f" stroke='{colour}' stroke-width='1.5' stroke-dasharray='3 2' fill='none'/>"
        f"{'' if said.range_only else likely}<text {text}>{words}</text></svg>"
    )
