// The run's name up to a step, in the grammar of sim/schedule.py: `one_page mutex_v37 a3b2.1c`.

/** @param {import("./film.js").Timeline} timeline */
export function runName(timeline) {
  const start = timeline.film.run_name.split(" ").slice(0, 2).join(" ");
  const schedule = scheduleOf(timeline, timeline.place);
  return schedule ? `${start} ${schedule}` : start;
}

/** Letters with run lengths; a choice stands after a dot and ends its run. */
export function scheduleOf(timeline, place) {
  const letters = new Map(timeline.film.tasks.map((task) => [task.id, task.letter]));
  const out = [];
  let letter = "";
  let run = 0;
  const flush = (choice = "") => {
    if (run > 0) out.push(`${letter}${run > 1 ? run : ""}${choice}`);
    run = 0;
  };
  for (const step of timeline.steps.slice(1, place + 1)) {
    const next = letters.get(step.task) ?? "?";
    if (next !== letter) flush();
    letter = next;
    run += 1;
    if (step.choice !== null) flush(`.${step.choice}`);
  }
  flush();
  return out.join("");
}
