// What the fragment of an address asks for: `#run=one_page mutex_v37 a3b2&step=17&speed=2&theme=dark`.

import { Timeline } from "./film.js";
import { Hands } from "./hands.js";
import { runName, scheduleOf } from "./runname.js";

/** The schedule's turns, or null if it cannot be read. @returns {{letter: string, choice: number | null}[] | null} */
export function turnsOf(schedule) {
  const turns = [];
  let at = 0;
  for (const found of schedule.matchAll(/([a-zA-Z]|\(\d{1,6}\))(\d{0,8})(?:\.(\d{1,8}))?/g)) {
    if (found.index !== at) return null;
    at += found[0].length;
    const count = Number(found[2] || 1);
    if (turns.length + count > 20_000) return null;
    for (let i = 1; i <= count; i += 1) turns.push({ letter: found[1], choice: i === count && found[3] !== undefined ? Number(found[3]) : null });
  }
  return at === schedule.length ? turns : null;
}

/**
 * The film to open, where, and what to say if it is not what was asked for.
 * @param {any} film
 * @param {string} hash
 * @returns {{film: any, step: number | null, speed: number, theme: string, notice: string}}
 */
export function opened(film, hash) {
  const asked = new URLSearchParams(hash.replace(/^#/, ""));
  const number = (name) => (asked.has(name) && Number.isFinite(Number(asked.get(name))) ? Number(asked.get(name)) : null);
  const found = { film, step: number("step"), speed: number("speed") ?? 1, theme: asked.get("theme") ?? "auto", notice: "" };
  const run = asked.get("run")?.trim();
  if (!run || run === film.run_name) return found;
  if (film.compare) return { ...found, notice: "This file holds two runs, and no address can ask for others." };
  const [world, variant, schedule = ""] = run.split(/\s+/);
  const [ownWorld, ownVariant] = film.run_name.split(" ");
  const turns = turnsOf(schedule);
  const other = { ...found, notice: `This file holds ${film.run_name}. The address asks for another run: ${run}.` };
  if (world !== ownWorld || variant !== ownVariant || turns === null) return other;
  const timeline = new Timeline(film);
  if (turns.length <= timeline.length && scheduleOf(timeline, turns.length) === schedule) return { ...found, step: found.step ?? turns.length };
  return film.hands ? followed(found, turns, other) : other;
}

/** The run that the turns make, played in the film's own world. */
function followed(found, turns, other) {
  const names = new Map(found.film.tasks.map(({ letter, id }) => [letter, id]));
  const hands = new Hands(found.film);
  let film = { ...found.film, steps: [], violation: null, cut: 0, lanes: [], arrows: [] };
  try {
    for (const { letter, choice } of turns) film = hands.stepNow(film, film.steps.length, names.get(letter), choice);
  } catch {
    return { ...other, notice: `${other.notice} It cannot be followed beyond step ${film.steps.length}.` };
  }
  const timeline = new Timeline(film);
  timeline.seek(timeline.length);
  film.run_name = runName(timeline);
  return { ...found, film, step: found.step ?? film.steps.length };
}
