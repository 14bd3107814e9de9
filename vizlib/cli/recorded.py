"""A recording of a real kernel: as lanes, and in sentences."""

from __future__ import annotations

import argparse

from sim.cli.base import Answer, Commands
from sim.cli.recording import reading
from vizlib import saving


def add(commands: Commands) -> None:
    """The commands of this file."""
    about = "a recording of a real kernel as lanes or, with --said, in sentences"
    recorded = commands.add("recording", _recording, about)
    recorded.add_argument("trace", metavar="TRACE", help="the text that ftrace, trace-cmd or perf printed")
    recorded.add_argument("--section", metavar="NAME", help="which section of the file (not needed if it has one)")
    recorded.add_argument("--said", action="store_true", help="print a sentence for each record")
    recorded.add_argument("-o", "--output", metavar="FILE", help=saving.LANES_HELP)
    recorded.add_argument("--dark", action="store_true", help="a dark picture (.svg and .png)")


def _recording(options: argparse.Namespace) -> Answer:
    from vizlib.recordings import chosen, recorded_lanes, sentence
    from vizlib.timeline import in_order, strips

    target = None if options.output is None else saving.lanes_target(options.output)
    with reading(options) as recording:
        section, records = chosen(recording, options.section)
    made = recorded_lanes(records, section, kernel=recording.kernel)
    heading = f"{section or 'the whole recording'}: {made['start']['sentence']}"
    data = {"kernel": recording.kernel, "section": section, "records": made["events"], "elapsed_ns": made["end"]}
    data |= {"lines_read": recording.lines, "lines_unknown": recording.unknown}
    if options.said:
        data["said"] = [sentence(it) for it in records]
        heading += "\n\n" + "\n".join(data["said"])
    if target is None:
        data["text"] = strips(in_order(made))
        return Answer(data, f"{heading}\n\n{data['text']}")
    saving.write(target, lambda part: saving.lanes_file(made, heading.partition("\n")[0], options.dark, part))
    size = target.stat().st_size
    return Answer({"file": str(target), "bytes": size, **data}, f"{target}: {size:,} bytes, {heading}")
