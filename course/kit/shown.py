"""What a lesson shows: a widget, and the same as text."""

from __future__ import annotations

import html
import io
from collections.abc import Mapping
from typing import Any

import ipywidgets as widgets

from vizlib import theme

_VIEW = "application/vnd.jupyter.widget-view+json"


def as_text(value: Any) -> str:
    """The text twin of what a lesson shows."""
    if isinstance(value, str):
        return value
    if isinstance(value, list | tuple):
        return "\n\n".join(filter(None, map(as_text, value)))
    return "" if _is_figure(value) else repr(value)


def as_widget(value: Any) -> widgets.Widget:
    """What a lesson shows, as a widget."""
    if isinstance(value, widgets.Widget):
        return value
    if isinstance(value, Shown):
        return value.box
    if isinstance(value, list | tuple):
        return widgets.VBox([as_widget(it) for it in value])
    if _is_figure(value):
        data = io.BytesIO()
        value.savefig(data, format="png", dpi=100, bbox_inches="tight")
        return widgets.Image(value=data.getvalue(), format="png", layout={"max_width": "100%", "width": "800px"})
    return widgets.HTML(f"<pre style='line-height: 1.3; margin: 0'>{html.escape(as_text(value))}</pre>")


def _is_figure(value: Any) -> bool:
    return hasattr(value, "savefig")


def prose(text: str) -> widgets.Widget:
    """A line or more of prose, as HTML."""
    return widgets.HTML(f"<div style='line-height: 1.4; max-width: 52em'>{text}</div>")


class Shown:
    """Something with a widget and a text twin."""

    box: widgets.Widget

    def text(self) -> str:
        """The text twin."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return self.text()

    def _repr_mimebundle_(self, **_: Any) -> Mapping[str, Any]:
        view = {"version_major": 2, "version_minor": 0, "model_id": self.box.model_id}
        return {"text/plain": self.text(), _VIEW: view}


class Claim(Shown):
    """A sentence, and whether the run bears it out."""

    def __init__(self, sentence: str, holds: bool) -> None:
        self.sentence = sentence
        self.holds = holds
        self.box = as_widget(self.text())

    def text(self) -> str:
        """The sentence, with the verdict before it."""
        return f"{'shown:' if self.holds else 'NOT SO:'} {self.sentence}"


class Drawing(Shown):
    """A picture as SVG, *width* by *height* pixels; it has no text twin: what it says stands beside it in words.

    It needs no matplotlib, and so it is also drawn in a browser without one.
    """

    def __init__(self, marks: str, width: float, height: float, label: str) -> None:
        ground = f'<rect width="{width:g}" height="{height:g}" fill="{theme.colour("paper")}"/>'
        self.svg = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" role="img" '
            f'aria-label="{html.escape(label)}" font-family="{html.escape(theme.FONT)}" '
            f'style="width: 100%; max-width: {width:g}px">{ground}{marks}</svg>'
        )
        self.box = widgets.HTML(self.svg)

    def text(self) -> str:
        """Nothing."""
        return ""


def claim(sentence: str, holds: Any) -> Claim:
    """State *sentence* and show whether it holds; inside ``gate.then(...)``, once that gate has been answered."""
    return Claim(sentence, bool(holds))
