"""A film as one HTML file that needs nothing else: no server, no network, no second file.

It opens from disk and works as the ``srcdoc`` of a sandboxed frame.  Without scripts it is still a list of sentences.
The fragment of the address says where to begin: ``#step=17&speed=2&theme=dark``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from html import escape
from typing import Any

from vizlib import theme
from vizlib.player import bundle
from vizlib.player.films import checked

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
      content="default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'">
<title>{title}</title>
<style>
{colours}{style}
html {{ background: #fbfbf9; }}
html[data-theme=dark] {{ background: #14181a; }}
body {{ margin: 0 auto; max-width: 1480px; }}
noscript {{ display: block; padding: 1em 2em; font-family: sans-serif; }}
</style>
</head>
<body>
<main id="player"><noscript><h1>{title}</h1>
<p>{run_name}</p>
<p>The moving picture needs JavaScript. This is what happens, step by step:</p>
<ol start="0">
{sentences}
</ol></noscript></main>
<script type="application/json" id="film">{film}</script>
<script type="module">
{script}
const film = JSON.parse(document.getElementById("film").textContent);
const asked = new URLSearchParams(location.hash.slice(1));
const host = document.getElementById("player");
const player = mount(host, film, {{
  heading: "h1",
  wholePage: true,
  step: asked.has("step") ? Number(asked.get("step")) : null,
  speed: Number(asked.get("speed") ?? 1),
  theme: asked.get("theme") ?? "auto",
}});
if (player) {{
  const ground = () => {{ document.documentElement.dataset.theme = player.el.dataset.theme; }};
  new MutationObserver(ground).observe(player.el, {{ attributes: true, attributeFilter: ["data-theme"] }});
  ground();
}}
</script>
</body>
</html>
"""


def page(film: Mapping[str, Any]) -> str:
    """*film* as one self-contained HTML page.

    Raises:
        ValueError: if *film* is none, or of another version.
    """
    film = checked(film)
    steps = [film.get("start", {}), *film["steps"]]
    return _PAGE.format(
        title=escape(str(film["title"])),
        run_name=escape(str(film["run_name"])),
        colours=theme.css(),
        style=bundle.style(),
        sentences="\n".join(f"<li>{escape(str(step.get('sentence', '')))}</li>" for step in steps),
        film=embedded(film),
        script=bundle.script().replace("export const", "const").replace("export default player_js.main;\n", ""),
    )


def embedded(value: Any) -> str:
    """*value* as JSON that cannot end the script element it stands in, nor begin a comment there."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
