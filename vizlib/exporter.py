"""Notebooks as pages that still play: ``jupyter nbconvert --to rmapwalk lesson.ipynb``.

A notebook stores the text of a widget only, so that its outputs are the same everywhere; and a live widget in a plain
exported page is blank, because what runs it would have to come from the network.  So the exporter runs the notebook
once more and has every player leave itself as one offline page in a frame (:mod:`vizlib.renderers.html`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from nbconvert.exporters import HTMLExporter
from nbconvert.preprocessors import ExecutePreprocessor

from vizlib.player.films import OFFLINE

#: How long a cell may take, in seconds.
PATIENCE = 600


class OfflineExporter(HTMLExporter):
    """HTML in which each player is an offline page of its own; everything else as nbconvert does it."""

    export_from_notebook = "rmapwalk: HTML with players that work offline"

    def from_notebook_node(self, nb: Any, resources: Any = None, **options: Any) -> Any:
        """Run *nb*, and convert what it shows: HTML, and nbconvert's resources.

        Raises:
            nbclient.exceptions.CellExecutionError: if a cell of the notebook fails.
        """
        known = dict(resources or {})
        known["metadata"] = {"path": "", **known.get("metadata", {})}
        run: Any = ExecutePreprocessor(timeout=PATIENCE, store_widget_state=False)  # type: ignore[no-untyped-call]
        with _offline():
            nb, known = run.preprocess(nb, known)
        nb.metadata.pop("widgets", None)
        return super().from_notebook_node(nb, known, **options)


@contextmanager
def _offline() -> Iterator[None]:
    """What the kernel, a child of this process, reads from its environment."""
    before = os.environ.get(OFFLINE)
    os.environ[OFFLINE] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[OFFLINE]
        else:
            os.environ[OFFLINE] = before
