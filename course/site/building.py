"""Sphinx, and what it is told."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any, Final

from course.site.links import faults
from course.site.writing import STATIC
from sim.errors import UserError

#: Sphinx's settings.  Nothing is loaded from outside: no fonts, no MathJax (no page has mathematics), no require.js.
SETTINGS: Final[dict[str, Any]] = {
    "project": "rmapwalk",
    "language": "en",
    "extensions": ["myst_nb"],
    "html_theme": "furo",
    "html_title": "rmapwalk",
    "html_static_path": [str(STATIC)],
    "html_favicon": str(STATIC / "icon.svg"),
    "html_css_files": ["site.css"],
    "html_js_files": ["site.js"],
    "html_copy_source": False,
    "html_show_sphinx": False,
    "html_show_copyright": False,
    "html_use_index": False,
    # The words around a search's findings are fetched page by page, which a browser forbids to a page from disk.
    "html_show_search_summary": False,
    "html_theme_options": {"navigation_with_keys": False},  # the arrow keys are the player's
    "myst_heading_anchors": 3,
    "myst_enable_extensions": [],
    "nb_execution_mode": "off",
    "nb_ipywidgets_js": {},
    "pygments_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}


def build(source: Path, beside: Path, out: Path) -> None:
    """Build the pages of *source* into *out*, with the files of the folder *beside* next to them.

    Raises:
        UserError: if Sphinx, myst-nb or furo is not installed.
        RuntimeError: if Sphinx warns of anything, such as a page in no list, or a link leads nowhere.
    """
    try:
        import furo  # noqa: F401
        import myst_nb  # noqa: F401
        from sphinx.application import Sphinx
    except ImportError as error:
        raise UserError(f"the site needs {error.name}: python -m pip install 'rmapwalk[site]'") from error
    warned = io.StringIO()
    settings = {**SETTINGS, "html_extra_path": [str(beside)]}
    (source / "conf.py").write_text("".join(f"{name} = {value!r}\n" for name, value in settings.items()), "utf-8")
    app = Sphinx(source, source, out, source.parent / "doctrees", "html", status=None, warning=warned, freshenv=True)
    app.build()
    if warned.getvalue():
        raise RuntimeError(f"Sphinx warns:\n{warned.getvalue()}")
    (out / ".nojekyll").touch()  # some web hosts leave out folders whose names begin with _
    wrong = faults(out)
    if wrong:
        raise RuntimeError("the site has faults:\n" + "\n".join(wrong))
