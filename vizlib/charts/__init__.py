"""Charts with matplotlib: for lessons that compare runs instead of stepping through one.

Every chart returns a figure, can be drawn into axes of one's own (``ax``), and has a text twin beside it that a screen
reader, and a test, can read; every series has a colour, a marker, a dash pattern and its name at its end, so that none
of them speaks alone.  The same numbers give the same picture, byte for byte.

=============  ===========================  ==========================================================
chart          text twin                    what it shows
=============  ===========================  ==========================================================
curves         table                        a line for each series
throughput     throughput_table             measured points on what theory says, with the bounds
utilisation    table                        how busy each lock is
waits          waits_table                  how many waits were longer than so long
heatmap        heatmap_table                numbers by row and column: who waits for whom
staircase      staircase_table              what goes up in steps: pages moved, waiters
profile_tree   profile_text                 a call tree with shares, as perf report prints it
bars           bars_table                   shares that add up
lanes          lanes_table                  a row a thread
plane          plane_table                  how fast, and how many worlds go wrong
sheet          (its own text)               a chart, and text below it, on one page to print
panels         (those of its charts)        several axes side by side
=============  ===========================  ==========================================================
"""

from vizlib.charts.canvas import as_svg, save_chart
from vizlib.charts.measured import (
    heatmap,
    heatmap_table,
    staircase,
    staircase_table,
    throughput,
    throughput_table,
    utilisation,
    waits,
    waits_table,
)
from vizlib.charts.panels import panels
from vizlib.charts.plain import bars, bars_table, curves, lanes, lanes_table, table
from vizlib.charts.plane import plane, plane_table
from vizlib.charts.sheet import sheet
from vizlib.charts.tree import profile_text, profile_tree

__all__ = [
    "as_svg",
    "bars",
    "bars_table",
    "curves",
    "heatmap",
    "heatmap_table",
    "lanes",
    "lanes_table",
    "panels",
    "plane",
    "plane_table",
    "profile_text",
    "profile_tree",
    "save_chart",
    "sheet",
    "staircase",
    "staircase_table",
    "table",
    "throughput",
    "throughput_table",
    "utilisation",
    "waits",
    "waits_table",
]
