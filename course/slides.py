"""``rmapwalk slides 06``: a lesson as slides, in one file that needs no network and no kernel.

One slide a cell.  Questions stand alone, and their reasons are covered until the lecturer asks for them; runs play on
the slide.  Keys: → and ← (or those of a presenter) turn the page, *a* uncovers the reasons, *f* fills the screen.
"""

from __future__ import annotations

import argparse
import base64
import html
import io
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from course.kit import Claim, Drawing, Report
from course.kit.gates import Choice, Later, Look, Recall, verdict_on
from course.progress import BY_NUMBER, lesson_path, title
from course.running import values_of
from sim.cli.base import Answer, Parser, answer, answers, write_text
from vizlib.player.widget import Player

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
      content="default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; --ground: #fbfbf9; --ink: #1c2426; --quiet: #5b666a; --line: #c9d0d2; }}
@media (prefers-color-scheme: dark) {{
  :root {{ --ground: #14181a; --ink: #e8ecec; --quiet: #9aa6aa; --line: #3a4448; }}
}}
body {{ margin: 0; background: var(--ground); color: var(--ink); font: 1.5rem/1.4 system-ui, sans-serif; }}
section {{ display: none; box-sizing: border-box; min-height: 100vh; padding: 2.5vh 4vw 8vh; }}
section.now {{ display: block; }}
h1, h2 {{ font-size: 1.3em; margin: 0 0 .6em; }}
.part {{ color: var(--quiet); font-size: .7em; margin: 0 0 .4em; }}
pre {{ font-size: .72em; line-height: 1.3; overflow-x: auto; white-space: pre-wrap; }}
table {{ border-collapse: collapse; }} td, th {{ border: 1px solid var(--line); padding: .2em .6em; text-align: left; }}
iframe {{ width: 100%; height: 82vh !important; border: 1px solid var(--line); }}
img {{ max-width: 100%; max-height: 80vh; background: #fff; }}
ol li {{ margin: .3em 0; }}
summary {{ cursor: pointer; color: var(--quiet); }}
.anchor-link {{ display: none; }}
nav {{ position: fixed; right: 1vw; bottom: 1vh; font-size: .7em; color: var(--quiet);
  background: var(--ground); padding: .2em .4em; }}
nav button {{ font: inherit; }}
a {{ color: inherit; }}
@media print {{ section {{ display: block; break-after: page; }} nav {{ display: none; }} }}
</style>
</head>
<body>
<main>
{slides}
</main>
<nav aria-label="slides"><button id="back" aria-label="previous slide">←</button>
<span id="place" aria-live="polite"></span> <button id="on" aria-label="next slide">→</button></nav>
<script>
const slides = [...document.querySelectorAll("section")];
let at = 0;
function go(to) {{
  at = Math.max(0, Math.min(slides.length - 1, to));
  slides.forEach((it, number) => it.classList.toggle("now", number === at));
  document.getElementById("place").textContent = `${{at + 1}} of ${{slides.length}}`;
  history.replaceState(null, "", `#${{at + 1}}`);
  scrollTo(0, 0);
}}
function uncover() {{
  for (const it of slides[at].querySelectorAll("details")) it.open = !it.open;
}}
addEventListener("keydown", event => {{
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest?.("button, summary") && [" ", "Enter"].includes(event.key)) return;
  if (["ArrowRight", "PageDown", " "].includes(event.key)) go(at + 1);
  else if (["ArrowLeft", "PageUp"].includes(event.key)) go(at - 1);
  else if (event.key === "Home") go(0);
  else if (event.key === "End") go(slides.length - 1);
  else if (event.key === "a") uncover();
  else if (event.key === "f") document.documentElement.requestFullscreen?.();
  else return;
  event.preventDefault();
}});
document.getElementById("on").onclick = () => go(at + 1);
document.getElementById("back").onclick = () => go(at - 1);
go((parseInt(location.hash.slice(1), 10) || 1) - 1);
</script>
</body>
</html>
"""


def slides(path: Path) -> str:
    """The lesson at *path* as one HTML page."""
    made = "\n".join(f"<section>\n{it}\n</section>" for it in _slides(path))
    return _PAGE.format(title=html.escape(title(path)), slides=made)


def _slides(path: Path) -> Iterator[str]:
    """One slide a cell, with the section of the lesson above it."""
    import nbformat
    from nbconvert.filters.markdown import markdown2html

    names: dict[str, Any] = {}
    part = ""
    for cell in nbformat.read(path, as_version=4).cells:  # type: ignore[no-untyped-call]
        if cell.cell_type == "markdown":
            part = next((it[3:] for it in cell.source.splitlines() if it.startswith("## ")), part)
            yield str(markdown2html(cell.source))
            continue
        shown = values_of(cell.source, names)
        body = "\n".join(_of(it) for it in shown)
        if any(isinstance(it, Report) for it in shown):  # an exercise: what is to be written stands in the cell
            body = f"<pre>{html.escape(cell.source)}</pre>\n{body}"
        if body:
            yield f"<p class='part'>{html.escape(part)}</p>\n{body}"


def _of(value: Any) -> str:
    """What stands on a slide for something that a lesson shows."""
    match value:
        case Recall():
            return "\n".join(map(_of, value.gates))
        case Look():
            return _choice(value.question.look, value)
        case Choice():
            return _choice(value.question.prompt, value)
        case Later():
            return "\n".join(map(_of, value.values))
        case Claim():
            return f"<p>{html.escape(value.text())}</p>"
        case Player():
            return value.frame()
        case Drawing():
            return value.svg
        case list() | tuple():
            return "\n".join(map(_of, value))
        case _ if hasattr(value, "savefig"):
            return _picture(value)
    return f"<pre>{html.escape(str(value))}</pre>"


def _choice(asked: str, choice: Choice) -> str:
    """A question with its options, and the reasons under a cover."""
    options = "".join(f"<li>{html.escape(it.text)}</li>" for it in choice.question.options)
    whys = "".join(f"<li><b>{verdict_on(it.tag)}:</b> {html.escape(it.why)}</li>" for it in choice.question.options)
    cover = f"<details><summary>the reasons (a)</summary><ol type='A'>{whys}</ol></details>"
    return f"<h2>{html.escape(asked)}</h2>\n<ol type='A'>{options}</ol>\n{cover}"


def _picture(figure: Any) -> str:
    """A figure as an image in the page."""
    data = io.BytesIO()
    figure.savefig(data, format="png", dpi=120, bbox_inches="tight")
    label = html.escape(figure.get_label() or "a chart of this lesson; its numbers stand beside it as text")
    return f'<img alt="{label}" src="data:image/png;base64,{base64.b64encode(data.getvalue()).decode()}">'


def options(parser: argparse.ArgumentParser) -> None:
    """What ``slides`` is told."""
    parser.add_argument("lesson", help=f"its number: {', '.join(BY_NUMBER)}")
    about = "where to write; lesson-06.html, beside you, if not given"
    parser.add_argument("-o", "--output", metavar="FILE", help=about)


def write_slides(options: argparse.Namespace) -> Answer:
    """Write the slides of a lesson.

    Raises:
        UserError: for a lesson that is none, or a file that cannot be written.
    """
    path = lesson_path(options.lesson)
    output = options.output or f"lesson-{path.stem[:2]}.html"
    text = slides(path)
    write_text(text, output)
    data = {"file": output, "slides": text.count("<section>"), "bytes": len(text.encode())}
    return Answer(data, f"{output}: {data['slides']} slides, {len(text) // 1000} kB")


def main(argv: Sequence[str] | None = None) -> int:
    """Write the slides of a lesson; return the exit code."""
    parser = Parser(
        prog="python -m course.slides", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    answers(parser, write_slides)
    options(parser)
    return answer(parser, argv)


if __name__ == "__main__":
    sys.exit(main())
