"""The moving picture.

===============  =========================================================================================
player.js        the player: one film, one place in it, and everything that shows it; what hosts call
film.js          the film and where we are in it: seeking, stopping places
clock.js         when the next step is due
stage.js         the machine: marks joined by id; actor.js moves one, glyphs.js draws one, flow.js places panels
threads.js       the threads, their call stacks and source lines
locks.js         the locks, their holders and waiters
story.js         the sentence, what changed, the counts, who could run next
lanes.js         the run as lanes
timeline.js      a run under the clock as lanes; track.js has the intervals, and which is next
compare.js       two runs beside each other; transport.js is what both players are: what plays, and the keys
lecture.js       full screen, large type, a question before each step
controls.js      the buttons and the slider; keyboard.js has the keys, runname.js the run's name
transcript.js    the whole run in words; help.js how to read the picture
appearance.js    light or dark, how wide, still or moving
dom.js           elements
player.css       how it looks; the colours are vizlib/theme.py's
bundle.py        all modules as one string; films.py refuses what is no film
widget.py        the widget for JupyterLab
bench.py         how much of each frame goes to script
===============  =========================================================================================
"""
