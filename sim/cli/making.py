"""Templates for code of a reader's own."""

from __future__ import annotations

import argparse
import keyword
from pathlib import Path

from sim import variants
from sim.cli.base import Answer, Commands, write_text
from sim.errors import BadVariant, UserError
from sim.template import template


def add(commands: Commands) -> None:
    """The commands of this file."""
    new = commands.add("new-variant", _new_variant, "write a template for a variant of your own")
    new.add_argument("name", help="letters, digits and underscores")
    new.add_argument("-o", "--output", metavar="FILE", help="where to (default: sim/variants/NAME.py)")


def _new_variant(options: argparse.Namespace) -> Answer:
    name = options.name
    if not name.isidentifier() or keyword.iskeyword(name):
        raise BadVariant(f"'{name}' cannot name a variant: use letters, digits and underscores, and no word of Python")
    path = Path(options.output) if options.output else Path(variants.__file__).with_name(f"{name}.py")
    if path.exists():
        raise UserError(f"{path} exists already; choose another name or -o FILE")
    write_text(template(name), str(path))
    data = {"name": name, "path": str(path)}
    return Answer(data, f"{path} is written; try: python -m sim check stack_grows --variant {name}")
