"""What records a real kernel where there are no two nodes, and no root."""

from __future__ import annotations

from course.recording.two_nodes import options, record
from sim.cli.base import Commands


def add(commands: Commands) -> None:
    """The commands of this file."""
    options(
        commands.add("two-nodes", record, "boot a kernel in an emulated machine with two nodes, and record it there")
    )
