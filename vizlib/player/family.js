// The family of anon_vmas, and the walks in it: where each has been, and where it stands.

import { MARK } from "./film.js";

/**
 * @typedef {import("./film.js").Timeline} Timeline
 * @typedef {import("./film.js").Mark} Mark
 * @typedef {{walker: string, tree: string, stops: string[]}} Walk `tree`: the anon_vma's mark; `stops`: the AVCs' marks
 */

const LETTER = 6.6;

/** The walks under way at each place, by task. @param {Timeline} timeline @returns {Map<string, Walk>[]} */
export function walksOf(timeline) {
  const { film } = timeline;
  const stacks = new Map(Object.entries(film.start?.threads ?? {}).map(([id, it]) => [id, it.stack ?? []]));
  /** @type {Map<string, Walk>} */
  let walks = new Map();
  const out = [walks];
  film.steps.forEach((step, at) => {
    for (const { map, id, after } of timeline.patches[at]) if (map === timeline.threads) stacks.set(id, after?.stack ?? []);
    const now = after(walks.get(step.task), step.walk, (stacks.get(step.task) ?? []).map(([number]) => film.sources[number]?.function));
    if (now !== walks.get(step.task)) {
      walks = new Map(walks);
      if (now) walks.set(step.task, now);
      else walks.delete(step.task);
    }
    out.push(walks);
  });
  return out;
}

/** A task's walk after a step: begun, one stop on, over, or as it was. @param {Walk | undefined} walk */
function after(walk, stop, functions) {
  if (stop && !stop[1].startsWith("kin:")) return walk;
  if (stop && stop[2] === "tree") return { walker: stop[0], tree: stop[1], stops: [] };
  if (stop && walk?.walker === stop[0]) return { ...walk, stops: [...walk.stops, stop[1]] };
  return walk && functions.includes(walk.walker) ? walk : undefined;
}

/** The family with its walks as marks. @param {Timeline} timeline @param {Map<string, Walk>} walks @returns {Map<string, Mark>} */
export function familyMarks({ family, film }, walks) {
  const out = new Map(family);
  const add = (id, mark) => out.set(id, { ...MARK, panel: "family", ...mark });
  film.tasks.filter(({ id }) => walks.has(id)).forEach(({ id, colour }, number) => {
    const walk = /** @type {Walk} */ (walks.get(id));
    walk.stops.forEach((stop, at) => {
      const mark = family.get(stop);
      const line = mark && { s: String(at + 1), x: mark.x + mark.w + 1 + 9 * number, y: mark.y + 9, size: 11, weight: 700, ink: colour };
      if (line) add(`stop:${id}:${at + 1}`, { shape: "text", text: [line], layer: 4, say: `${stop.slice(4)}: stop ${at + 1} of ${id}` });
    });
    const place = family.get(walk.stops.at(-1) ?? walk.tree);
    if (!place) return;
    const w = id.length * LETTER + 12;
    const [x, y] = [place.x + place.w / 2 - w / 2 + 8 * number, place.y + place.h - 3 + 7 * number];
    const line = { s: id, x: x + w / 2, y: y + 11.5, size: 10, weight: 700, anchor: "middle", ink: colour };
    add(`walk:${id}`, { shape: "pill", x, y, w, h: 16, fill: "card", stroke: colour, bold: true, layer: 5, text: [line], say: `${id} stands at ${(walk.stops.at(-1) ?? walk.tree).slice(4)}` });
  });
  return out;
}

/** The walks in a sentence each. @param {Timeline} timeline @param {Map<string, Walk>} walks @returns {string[]} */
export function walksTold({ family }, walks) {
  return [...walks].map(([id, { walker, tree, stops }]) => {
    const last = stops[stops.length - 1];
    const vma = [...family.keys()].find((it) => it.startsWith(`${last}>`) && family.get(it.slice(last.length + 1))?.shape === "rect");
    const where = last ? `stop ${stops.length}, ${last.slice(4)}, VMA ${vma?.slice(last.length + 5) ?? "None"}` : "no stop yet";
    return `${id} walks ${tree.slice(4)} in ${walker}: ${where}.`;
  });
}
