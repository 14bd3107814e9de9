"""What a lecturer shows."""

from __future__ import annotations

from course.slides import options, write_slides
from sim.cli.base import Commands


def add(commands: Commands) -> None:
    """The commands of this file."""
    options(commands.add("slides", write_slides, "a lesson as slides, in one file that needs no network"))
