"""The page of a design (lesson 11) as HTML that needs nothing from elsewhere, and as a picture to print."""

from __future__ import annotations

import html
from pathlib import Path
from urllib.parse import quote

from course.designing import GLYPHS, HISTORY, asks, standings
from course.onepage import OnePage
from sim.errors import UserError

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<title>{title}: one page</title>
<style>
:root {{ color-scheme: light dark; --ground: #fbfbf9; --ink: #1f2421; --quiet: #5f6661; --line: #d3d6d0; }}
@media (prefers-color-scheme: dark) {{
  :root {{ --ground: #14181a; --ink: #eceeea; --quiet: #a3aba5; --line: #343b3f; }}
}}
body {{ margin: 1.5rem auto; max-width: 66rem; padding: 0 1rem; background: var(--ground); color: var(--ink);
  font: 0.95rem/1.4 system-ui, sans-serif; }}
h1 {{ font-size: 1.4rem; margin: 0; }} h2 {{ font-size: 1.05rem; margin: 1rem 0 .3rem; }}
p {{ margin: .2rem 0 .6rem; }}
small {{ color: var(--quiet); font-weight: normal; }}
img {{ max-width: 100%; }}
table {{ border-collapse: collapse; display: block; overflow-x: auto; }}
th, td {{ border: 1px solid var(--line); padding: .15rem .5rem; text-align: left; vertical-align: top; }}
td {{ white-space: nowrap; }}
pre {{ overflow-x: auto; font-size: .85rem; }}
li {{ overflow-wrap: anywhere; }}
@media print {{ body {{ margin: 0; font-size: 8.5pt; }} img {{ max-height: 8cm; }} }}
</style>
</head>
<body>
<main>
{body}
</main>
</body>
</html>
"""


def page(it: OnePage) -> str:
    """The whole page."""
    return _PAGE.format(title=html.escape(it.name), body=body(it))


def body(it: OnePage) -> str:
    """What stands on it: in a notebook, this alone."""
    kernels = "".join(
        f"<th scope='col'>{html.escape(name)}<br><small>{HISTORY.get(name, 'yours')}</small></th>" for name in it.laps
    )
    rows = "".join(
        f"<tr><th scope='row'>{html.escape(world)}<br><small>{html.escape(asks(world))}</small></th>"
        + "".join(f"<td>{GLYPHS[verdict]} {verdict}</td>" for verdict in its.values())
        + "</tr>"
        for world, its in it.rows().items()
    )
    same = len(it.worlds) - len(it.rows())
    held = "".join(f"<tr><th scope='row'>{what}</th><td>{lock}</td></tr>" for what, lock in it.held.items())
    lost = "".join(f"<li>{html.escape(said)}</li>" for said in it.lost())
    return (
        f"<h1>{html.escape(it.name)}</h1>\n<p>{it.head()}. Times are simulated.</p>\n{_picture(it)}\n"
        f"<h2>Verdicts</h2>\n<table><tr><td></td>{kernels}</tr>{rows}</table>\n"
        f"<p>In the other {same} of {len(it.worlds)} worlds all of them are right.</p>\n"
        f"<h2>The race</h2>\n<pre tabindex='0' role='region' aria-label='the race'>{html.escape(standings(it.laps))}"
        f"</pre>\n<h2>Locks: what is held when</h2>\n<table>{held}</table>\n"
        f"<h2>What it gives up</h2>\n<ul>{lost}</ul>"
    )


def _picture(it: OnePage) -> str:
    """The two axes, in light and in dark."""
    from vizlib.charts import as_svg

    light, dark = (it.picture(mode) for mode in ("light", "dark"))
    label = html.escape(light.get_label(), quote=True)
    address = "data:image/svg+xml,"
    return (
        f'<picture><source media="(prefers-color-scheme: dark)" srcset="{address}{quote(as_svg(dark))}">'
        f'<img alt="{label}" src="{address}{quote(as_svg(light))}"></picture>'
    )


def write(it: OnePage, at: Path) -> None:
    """Write the page in the form that the name of the file asks for.

    Raises:
        UserError: for an ending that is none of them.
    """
    if at.suffix == ".html":
        at.write_text(page(it), "utf-8")
    elif at.suffix == ".txt":
        at.write_text(f"{it!r}\n", "utf-8")
    elif at.suffix in (".svg", ".png"):
        from vizlib.charts import plane, save_chart, sheet

        text = repr(it).split("\n\n", 2)[2]  # without the head, and the table that the chart shows
        points = it.points()
        save_chart(
            sheet(lambda axes: plane(points, mine=it.name, ax=axes), f"{it.name}: one page", it.head(), text), at
        )
    else:
        raise UserError("the name of the file ends in none of .html, .svg, .png, .txt: give it one of these")
