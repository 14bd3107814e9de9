"""The player's modules as one string, because anywidget and an offline page evaluate one.

A relative import inside such a string does not resolve.  So each module becomes a function that runs once and returns
what it exports, and each import takes what it needs from there.  The modules keep to what the three patterns below
read: imports of names on one line, exports in front of what they export.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent
MAIN = "player.js"

_IMPORT = re.compile(r'^import \{ (.+) \} from "\./(\w+)\.js";$', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:async )?(?:function|class|const) (\w+))", re.MULTILINE)
#: Comments that have a line of their own: they are for who opens the modules, and a fifth of their size.
_COMMENT = re.compile(r"^ *//[^\n]*\n|^ */\*\*.*?\*/\n", re.MULTILINE | re.DOTALL)
_DEFAULT = re.compile(r"^export default ", re.MULTILINE)


@cache
def script() -> str:
    """One module that exports ``mount`` and, as its default, anywidget's ``{ render }``."""
    parts = [_wrapped(name) for name in modules()]
    return "".join(parts) + "export const { mount, mountPacked } = player_js;\nexport default player_js.main;\n"


@cache
def style() -> str:
    """The style sheet, without the colours (:func:`vizlib.theme.css` has them)."""
    return (FOLDER / "player.css").read_text(encoding="utf-8")


def modules(main: str = MAIN) -> list[str]:
    """The modules' file names, each after those that it imports.

    Raises:
        ValueError: if modules import each other in a circle.
    """
    order: list[str] = []
    open_: list[str] = []

    def visit(name: str) -> None:
        if name in order:
            return
        if name in open_:
            raise ValueError(f"the player's modules import each other: {' -> '.join([*open_, name])}")
        open_.append(name)
        for _, imported in _IMPORT.findall(_source(name)):
            visit(f"{imported}.js")
        open_.pop()
        order.append(name)

    visit(main)
    return order


def _source(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")


def _wrapped(name: str) -> str:
    source = _COMMENT.sub("", _source(name))
    exported = _EXPORT.findall(source)
    if _DEFAULT.search(source):
        source = _DEFAULT.sub("const main = ", source)
        exported.append("main")
    source = _IMPORT.sub(r"const { \1 } = \2_js;", _EXPORT.sub("", source))
    if re.search(r"^(import|export)\b", source, re.MULTILINE):
        raise ValueError(f"{name} has an import or export that bundle.py cannot read: one line, names in braces")
    return f"const {name.removesuffix('.js')}_js = (() => {{\n{source}\nreturn {{ {', '.join(exported)} }};\n}})();\n"
