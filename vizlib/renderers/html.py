"""A film as one HTML file that needs nothing else: no server, no network, no second file.

It opens from disk and works as the ``srcdoc`` of a sandboxed frame, and embeds in a page as an iframe.  Without
scripts it is still a list of sentences.  The fragment of the address says where to begin, and which run:
``#run=one_page mutex_v37 a3b2&step=17&speed=2&theme=dark``; a file that holds another run says so.

The film stands in it packed (gzip, base64), which keeps a lesson's film below 100 kB beside a player of the same
size.  The page's content security policy allows no request to anywhere.
"""

from __future__ import annotations

import base64
import gzip
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
<script type="text/plain" id="film">{film}</script>
<script type="module">
{script}
const host = document.getElementById("player");
const player = await mountPacked(host, document.getElementById("film").textContent, location.hash);
addEventListener("hashchange", () => location.reload());
// A page that shows this one in a frame may say whether it is light or dark.
addEventListener("message", ({{ data }}) => {{
  const asked = data?.rmapwalkTheme;
  if (asked === "light" || asked === "dark") document.body.dataset.jpThemeLight = String(asked === "light");
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
        film=packed(film),
        script=bundle.script().replace("export const", "const").replace("export default player_js.main;\n", ""),
    )


def packed(film: Mapping[str, Any]) -> str:
    """*film* as text that cannot end the script element it stands in: JSON, gzip, base64."""
    text = json.dumps(film, ensure_ascii=False, separators=(",", ":"))
    return base64.b64encode(gzip.compress(text.encode(), 9, mtime=0)).decode()
