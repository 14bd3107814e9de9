"""The stage as pixels: the SVG that the player has drawn, painted by resvg with matplotlib's fonts.

Both are pinned, and the browser only lends its style sheet, so that a new Chromium breaks no picture.  A picture that
has changed is left beside the one expected as ``NAME-changed.png``: look at both, and if the new one is right, let it
take the old one's place.  What stands in the pictures is checked by the other tests first; these see what those do not:
a shape, a colour, a place.
"""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
import resvg_py
from PIL import Image
from playwright.sync_api import Page

from tests.player.conftest import MOVE, film_of, hands_of
from vizlib import theme
from vizlib.renderers.mpl import render_waits, save
from vizlib.showcase import showcase

SNAPSHOTS = Path(__file__).parent.parent / "vizlib" / "snapshots"
FONTS = Path(mpl.get_data_path()) / "fonts" / "ttf"
FACES = ("DejaVuSans", "DejaVuSans-Bold", "DejaVuSans-Oblique", "DejaVuSansMono", "DejaVuSansMono-Bold")
#: A picture in the repository is at most this large, in bytes.
LARGEST = 30_000
#: How many pixels a picture is across.
WIDTH = 720

#: The stage's SVG with what the style sheet says written into each element; what is not shown is left out.
STYLED = """() => {
  document.getAnimations().forEach((it) => it.finish());
  const kept = ["fill", "fill-opacity", "stroke", "stroke-width", "stroke-dasharray", "stroke-linecap",
    "stroke-linejoin", "stroke-opacity", "opacity", "font-size", "font-weight", "font-style", "text-anchor",
    "paint-order"];
  const stage = document.querySelector(".rmw-machine");
  const copy = stage.cloneNode(true);
  const [from, to] = [stage, copy].map((it) => [it, ...it.querySelectorAll("*")]);
  const gone = [];
  from.forEach((it, at) => {
    const style = getComputedStyle(it);
    if (style.display === "none" || style.visibility === "hidden") gone.push(to[at]);
    const family = style.fontFamily.includes("Mono") ? "DejaVu Sans Mono" : "DejaVu Sans";
    const says = kept.map((name) => `${name}:${style.getPropertyValue(name)}`);
    to[at].setAttribute("style", [...says, `font-family:${family}`].join(";"));
  });
  gone.forEach((it) => it.remove());
  copy.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  copy.removeAttribute("class");
  return copy.outerHTML;
}"""


def painted(svg: str, mode: theme.Mode) -> Image.Image:
    """*svg* as pixels; each takes the nearest of the theme's colours and their mixtures with the ground: few bytes."""
    data = resvg_py.svg_to_bytes(
        svg_string=svg,
        width=WIDTH,
        dpi=96,
        background=theme.colour("paper", mode),
        skip_system_fonts=True,
        font_files=[str(FONTS / f"{it}.ttf") for it in FACES],
        font_family="DejaVu Sans",
    )
    pixels = np.asarray(Image.open(BytesIO(data)).convert("RGB"))
    found, at = np.unique(pixels.reshape(-1, 3), axis=0, return_inverse=True)
    palette = _palette(mode)
    far = ((found[:, None, :].astype(int) - palette[None, :, :]) ** 2).sum(axis=2)
    picture = Image.fromarray(far.argmin(axis=1)[at].reshape(pixels.shape[:2]).astype(np.uint8), "P")
    picture.putpalette(palette.astype(np.uint8).tobytes())
    return picture


def _palette(mode: theme.Mode) -> Any:
    colours = [[int(theme.colour(it, mode)[at : at + 2], 16) for at in (1, 3, 5)] for it in theme.COLOURS]
    ground = colours[list(theme.COLOURS).index("card")]
    mixed = [[(one + two) // 2 for one, two in zip(it, ground, strict=True)] for it in colours]
    return np.unique(np.array([*colours, *mixed]), axis=0)


def compare(picture: Image.Image, name: str) -> None:
    """Fail, and leave the picture, if it is not the one in the repository, pixel for pixel."""
    expected, changed = SNAPSHOTS / f"{name}.png", SNAPSHOTS / f"{name}-changed.png"
    changed.unlink(missing_ok=True)
    if expected.exists():
        before, after = (np.asarray(it.convert("RGB")) for it in (Image.open(expected), picture))
        if np.array_equal(before, after):
            return
    picture.save(changed, optimize=True)
    pytest.fail(f"{name}: the picture has changed; compare {changed.name} with {expected.name} in {SNAPSHOTS.name}/")


STAGES = {
    # The migrator has asked CPU 1 to drop its entry, and waits: a stale TLB entry, an interrupt on its way.
    "stage-interrupt-light": (lambda: film_of(MOVE), "step=56&theme=light"),
    "stage-interrupt-dark": (lambda: film_of(MOVE), "step=56&theme=dark"),
    # The end of the counterexample: what is at fault has a ring.
    "stage-violation-light": (lambda: hands_of("stack_grows", "rfc_remap_unlocked"), "step=9999&theme=light"),
}


@pytest.mark.browser
@pytest.mark.parametrize("name", STAGES)
def test_the_stage_is_drawn_as_before(open_film: Callable[..., Page], name: str) -> None:
    """Every pixel."""
    make, fragment = STAGES[name]
    made: dict[str, Any] = make()
    page = open_film(made, fragment.replace("9999", str(len(made["steps"]))))
    compare(painted(page.evaluate(STYLED), "dark" if "dark" in name else "light"), name)


def test_the_wait_for_graph_is_drawn_as_before(tmp_path: Path) -> None:
    """The ring of a deadlock, from the SVG that a reader gets."""
    save(render_waits(showcase("batch_deadlock~B7", "batch_2mb")), tmp_path / "ring.svg")
    compare(painted((tmp_path / "ring.svg").read_text(encoding="utf-8"), "light"), "waits-deadlock-light")


def test_a_pixel_that_differs_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One is enough; the new picture is left beside the old one."""
    monkeypatch.setitem(globals(), "SNAPSHOTS", tmp_path)
    picture = Image.new("RGB", (40, 30), "white")
    picture.save(tmp_path / "it.png")
    compare(picture, "it")
    picture.putpixel((3, 4), (255, 255, 250))
    with pytest.raises(pytest.fail.Exception, match="the picture has changed"):
        compare(picture, "it")
    assert (tmp_path / "it-changed.png").exists()


def test_the_pictures_are_small_and_each_is_used() -> None:
    """At most 30 kB each."""
    kept = {it.stem: it.stat().st_size for it in SNAPSHOTS.glob("*.png") if not it.stem.endswith("-changed")}
    assert set(kept) == {*STAGES, "waits-deadlock-light"}
    assert {name: size for name, size in kept.items() if size > LARGEST} == {}
