"""What ``check`` says beside its verdict: the run that interrupts least, and the nearest run that passes."""

from __future__ import annotations

import argparse
from typing import Any

from sim.engines.checker import Found, GaveUp, Passing, Verdict, nearest_passing
from sim.engines.checker import fewest_preemptions as search_fewest
from sim.engines.stepper import replay
from sim.wording import times


def fewest_preemptions(verdict: Verdict, options: argparse.Namespace) -> tuple[str, dict[str, Any]]:
    """A run to the first violation's kind with as few preemptions as can be: text, and JSON."""
    first, bounds = verdict.violations[0], {"limit": options.limit, "seconds": options.seconds}
    try:
        found = search_fewest(verdict.world, verdict.variant, verdict.params, kind=first.kind, **bounds)
    except GaveUp as why:
        return f"  fewest preemptions: {why}", {"fewest_preemptions": {"gave_up": str(why)}}
    assert found is not None, "it was found once"
    made = times(found.preemptions, "preemption")
    text = f"  {made} in {found.steps} steps (the shortest run has {first.preemptions}):\n    {_replay(found)}"
    return text, {
        "fewest_preemptions": {
            "kind": found.kind,
            "sentence": found.sentence,
            "preemptions": found.preemptions,
            "steps": found.steps,
            "run_name": found.run_name,
        }
    }


def nearest(verdict: Verdict, options: argparse.Namespace) -> tuple[str, dict[str, Any]]:
    """The passing run that is nearest to the first violation's: text, and JSON."""
    first, bounds = verdict.violations[0], {"limit": options.limit, "seconds": options.seconds}
    try:
        found = nearest_passing(verdict.world, verdict.variant, verdict.params, schedule=first.schedule, **bounds)
    except GaveUp as why:
        return f"  nearest passing run: {why}", {"nearest": {"gave_up": str(why)}}
    if found is None:
        return "  no order of these steps passes", {"nearest": None}
    swaps = _swaps(first, found)
    matter = [it for it in swaps if it["fields"]]
    away = f"{times(len(swaps), 'swap')} of neighbouring steps away it passes"
    lines = [
        f"  {away}; of steps that touch the same field {times(len(matter), 'swap')}:",
        *(
            f"    step {it['later']} ({it['later_task']}: {it['later_op']}) before step {it['earlier']}"
            f" ({it['earlier_task']}: {it['earlier_op']}): {', '.join(it['fields'])}"
            for it in matter
        ),
        f"    {_replay(found)}",
    ]
    return "\n".join(lines), {
        "nearest": {"run_name": found.run_name, "steps": found.steps, "kept": found.kept, "swaps": swaps}
    }


def _swaps(violating: Found, passing: Passing) -> list[dict[str, Any]]:
    events = replay(violating.run_name).events
    return [
        {
            "earlier": it.earlier,
            "earlier_task": str(events[it.earlier - 1].task),
            "earlier_op": _op(events[it.earlier - 1].op),
            "later": it.later,
            "later_task": str(events[it.later - 1].task),
            "later_op": _op(events[it.later - 1].op),
            "fields": [str(field) for field in it.fields],
        }
        for it in passing.swaps
    ]


def _op(op: Any) -> str:
    """A step in two words."""
    name = type(op).__name__
    field = op if name == "Field" else getattr(op, "field", getattr(op, "lock", ""))
    return f"{_VERBS.get(name, name)} {field}".strip()


_VERBS = {"Field": "reads", "Write": "writes", "Acquire": "takes", "Release": "releases"}


def _replay(run: Found | Passing) -> str:
    return f'python -m sim replay "{run.run_name}"'
