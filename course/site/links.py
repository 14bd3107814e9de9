"""Every link and anchor of a built site leads somewhere, and nothing is fetched from outside."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

#: Attributes by which a page makes a browser fetch something, and those by which it only leads there.
FETCHED: Final = {("script", "src"), ("img", "src"), ("iframe", "src"), ("link", "href"), ("source", "src")}
FOLLOWED: Final = {("a", "href")}

#: What a style sheet fetches.
_URL = re.compile(r"""(?:url\(\s*|@import\s+)["']?((?:https?:)?//[^"')\s]+)""")

#: Kinds of <link> that a browser does not fetch.
_NAMED_ONLY = {"canonical", "next", "prev", "index", "search", "author", "genindex"}


class Page(HTMLParser):
    """What a page fetches, where it leads, and which anchors it has."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.followed: list[str] = []
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what this tag fetches, leads to, and is called."""
        named = dict(attrs)
        self.anchors |= {it for it in (named.get("id"), named.get("name") if tag == "a" else None) if it}
        only_named = tag == "link" and named.get("rel") in _NAMED_ONLY
        for name, value in attrs:
            if value and (tag, name) in FETCHED and not only_named:
                self.fetched.append(value)
            elif value and ((tag, name) in FOLLOWED or (only_named and name == "href")):
                self.followed.append(value)


def outside(address: str) -> bool:
    """Whether *address* is on another machine."""
    it = urlsplit(address)
    return bool(it.netloc) or it.scheme in ("http", "https", "ftp")


def faults(root: Path) -> list[str]:
    """What is wrong with the site in *root*, a line each: dead links, missing anchors, anything from outside."""
    pages = {path: Page(path.read_text("utf-8")) for path in sorted(root.rglob("*.html"))}
    found = []
    for path, page in pages.items():
        where = path.relative_to(root)
        found += [f"{where}: fetches {it}" for it in page.fetched if outside(it)]
        for address in (*page.fetched, *page.followed):
            if not outside(address) and urlsplit(address).scheme in ("", "file"):
                found += [f"{where}: {it}" for it in _dead(path, address, pages)]
    for path in sorted(root.rglob("*.css")):
        found += [f"{path.relative_to(root)}: fetches {it}" for it in _URL.findall(path.read_text("utf-8"))]
    return found


def _dead(path: Path, address: str, pages: dict[Path, Page]) -> list[str]:
    """Why *address*, on the page at *path*, leads nowhere."""
    it = urlsplit(address)
    to = (path.parent / unquote(it.path)).resolve() if it.path else path
    if to.is_dir():
        return [f"{address} is a folder, which opens from a web server only"]
    if not to.is_file():
        return [f"{address} leads nowhere"]
    if it.fragment and to in pages and unquote(it.fragment) not in pages[to].anchors:
        return [f"{address}: there is no such anchor"]
    return []
