"""A world for another checker, and what that one says of it."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Final

from sim import variants, worlds
from sim.cli.base import Answer, Commands, add_params, done, given_params, limit_of, progress, write_text

#: Whose word is compared unless others are named.
_VARIANTS: Final = ("mutex_v37", "rfc_remap_unlocked", "rwsem_v38")


def add(commands: Commands) -> None:
    """The commands of this file."""
    text = commands.add("promela", _promela, "a world as Promela text, for another checker: Spin")
    text.add_argument("world", help="the world; see 'worlds'")
    text.add_argument("--variant", required=True, help="the variant; see 'variants'")
    text.add_argument("-o", "--output", metavar="FILE", help="where to; printed if not given")
    text.add_argument("--spin", action="store_true", help="let Spin search it, and say whether both say the same")
    text.add_argument("--limit", type=int, default=1_000_000, help="states at most (default 1000000)")
    add_params(text)
    about = "let Spin search every world below a size, and set its word beside the checker's; exit 1 if they differ"
    both = commands.add("spin", _spin, about)
    both.add_argument("--worlds", nargs="+", default=[], metavar="WORLD", help="only these")
    both.add_argument("--variants", nargs="+", default=_VARIANTS, metavar="VARIANT", help="under these (default three)")
    both.add_argument("--limit", type=int, default=20_000, help="only worlds of at most so many states (default 20000)")


def _promela(options: argparse.Namespace) -> Answer:
    from sim.analysis.promela import promela
    from sim.analysis.spin import compare

    world, variant, limit = worlds.find(options.world), variants.find(options.variant), limit_of(options)
    told = progress(options, f"{world.name} under {variant.name}: states, depth")
    try:
        model = promela(world, variant, given_params(options, world), limit=limit, progress=told)
    finally:
        done(told)
    data = {"world": world.name, "variant": variant.name, "states": model.states, "kinds": list(model.kinds)}
    text, code = model.text.rstrip("\n"), 0
    if options.output:
        write_text(model.text, options.output)
        data["file"] = options.output
        found = ", ".join(model.kinds) or "safe"
        text = f"{options.output} is written: {world.name} under {variant.name}, {model.states:,} states, {found}"
    elif not options.spin:
        data["text"] = model.text
    if options.spin:
        compared = compare(model, world.name, variant.name)
        data["spin"] = compared.said._asdict() if compared.said else {"why": compared.why}
        data["agrees"] = compared.agrees
        words = f"Spin says the same: {compared}" if compared.agrees else f"Spin says something else: {compared}"
        text, code = f"{text}\n{words}" if options.output else words, 0 if compared.agrees else 1
    return Answer(data, text, code)


def _spin(options: argparse.Namespace) -> Answer:
    from sim.analysis.spin import Compared, compare_all, table

    limit = limit_of(options)
    names: Sequence[str] = options.worlds or list(worlds.WORLDS)
    told = progress(options, "worlds")
    found: list[Compared] = []
    try:
        for it in compare_all(names, options.variants, limit):
            found.append(it)
            if told is not None:
                told(len(found), it.world, it.variant)
    finally:
        done(told)
    asked = [it for it in found if it.said]
    wrong = [it for it in found if not it.agrees]
    rows = [
        {
            "world": it.world,
            "variant": it.variant,
            "kinds": list(it.model.kinds) if it.model else None,
            "states": it.model.states if it.model else None,
            "spin": it.said._asdict() if it.said else {"why": it.why},
            "agrees": it.agrees,
        }
        for it in found
    ]
    said = f"Spin searched {len(asked)} of {len(found)}; of {len(wrong) or 'none'} it says something else"
    return Answer({"rows": rows, "agrees": not wrong}, f"{table(found)}\n\n{said}", 1 if wrong else 0)
