"""Lessons in a real JupyterLab."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from typing import Any

import pytest

from course.progress import COURSE


@pytest.fixture
def open_lesson(jupyter_lab: Any, open_notebook: Callable[[str], Any]) -> Callable[[str], Any]:
    """Copy a lesson into the folder that Lab serves and open it there; no cell has run yet."""

    def open_(name: str) -> Any:
        shutil.copy(COURSE / name, jupyter_lab.root)
        return open_notebook(name)

    return open_
