// Who waits for whom: tasks at the left, what they wait for at the right, each at its place for the whole film.

import { MARK } from "./film.js";

/**
 * @typedef {import("./film.js").Timeline} Timeline
 * @typedef {{source: string, target: string, words: string}} Edge
 * @typedef {{edges: Edge[], circles: string[][]}} WaitGraph `circles`: the deadlocks, each as the ids on its way round
 * @typedef {{places: Map<string, {x: number, y: number, w: number, h: number}>, w: number, h: number}} Layout
 */

const WIDTH = 560;
const [TASKS, TASK_WIDTH] = [50, 176]; // to the left of them room for arrows from task to task
const [THINGS, THING_WIDTH] = [324, 224];
const [TOP, PITCH, TALLEST] = [26, 52, 620];
const LETTER = 0.62; // of a letter's size: how wide it is
const DOING = { running: "made this step", ready: "can run", user: "can run, user code", waiting: "sleeps", spinning: "spins", idle: "stands still", done: "has finished" };

/** The edges at a timeline's place; a lock that nobody waits for has none. @param {Timeline} timeline @returns {Edge[]} */
export function edgesAt({ waits }) {
  const all = [...waits].flatMap(([source, its]) => its.map(([target, words]) => ({ source, target, words })));
  const wanted = new Set(all.map((it) => it.target));
  return all.filter(({ source }) => !source.startsWith("lock:") || wanted.has(source));
}

/**
 * One shortest circle of each knot of nodes that wait for each other: deadlocks.
 * @param {Edge[]} edges
 * @param {string[]} order the nodes' ids: the first of a circle is where it is told from
 * @returns {string[][]}
 */
export function circlesOf(edges, order) {
  const to = new Map(order.map((id) => [id, []]));
  for (const { source, target } of edges) to.set(source, [...(to.get(source) ?? []), target]);
  const found = [];
  const settled = new Set();
  for (const start of to.keys()) {
    if (settled.has(start) || !wayBack(start, to)) continue;
    const knot = [...to.keys()].filter((it) => reaches(start, it, to) && reaches(it, start, to));
    for (const it of knot) settled.add(it);
    const ways = knot.map((it) => /** @type {string[]} */ (wayBack(it, to))).sort((a, b) => a.length - b.length);
    found.push(turned(ways[0], knot.find((it) => ways[0].includes(it))));
  }
  return found;
}

/** The shortest way from a node back to itself, or null. @returns {string[] | null} */
function wayBack(start, to) {
  const from = new Map();
  const todo = [start];
  for (const node of todo) {
    for (const next of to.get(node) ?? []) {
      if (next === start) {
        const way = [node];
        while (way[0] !== start) way.unshift(from.get(way[0]));
        return way;
      }
      if (from.has(next)) continue;
      from.set(next, node);
      todo.push(next);
    }
  }
  return null;
}

function reaches(start, end, to) {
  const seen = new Set([start]);
  for (const node of seen) for (const next of to.get(node) ?? []) seen.add(next);
  return seen.has(end);
}

function turned(way, start) {
  const at = way.indexOf(start);
  return [...way.slice(at), ...way.slice(0, at)];
}

/** Where everything stands that ever waits or is waited for. @param {Timeline} timeline @returns {Layout} */
export function layoutOf(timeline) {
  const { film } = timeline;
  const ever = new Set();
  const note = (source, its) => {
    ever.add(source);
    for (const [target] of its ?? []) ever.add(target);
  };
  for (const [source, its] of timeline.waits) note(source, its);
  for (const patches of timeline.patches) for (const { map, id, after } of patches) if (map === timeline.waits) note(id, after);
  const kept = ({ id, kind }) => ever.has(`task:${id}`) || (kind === "thread" && film.tasks.length <= 8) || film.hands;
  const columns = [film.tasks.filter(kept).map((it) => `task:${it.id}`), Object.keys(film.waited_for ?? {})];
  const rows = Math.max(1, ...columns.map((it) => it.length));
  const pitch = Math.min(PITCH, TALLEST / rows);
  const places = new Map();
  columns.forEach((ids, column) => {
    const drop = ((rows - ids.length) * pitch) / 2;
    const [x, w] = column === 0 ? [TASKS, TASK_WIDTH] : [THINGS, THING_WIDTH];
    ids.forEach((id, row) => places.set(id, { x, y: TOP + drop + row * pitch + pitch * 0.11, w, h: pitch * 0.78 }));
  });
  return { places, w: WIDTH, h: TOP + rows * pitch + 8 };
}

/** Who waits for whom at a timeline's place. @param {Timeline} timeline @returns {WaitGraph} */
export function graphAt(timeline) {
  const edges = edgesAt(timeline);
  return { edges, circles: circlesOf(edges, timeline.film.tasks.map((it) => `task:${it.id}`)) };
}

/** What a node is called in a sentence. */
function named(film, id) {
  const task = film.tasks.find((it) => `task:${it.id}` === id);
  if (task?.kind === "handler") return `CPU ${task.cpu}`;
  const { said, title } = film.waited_for?.[id] ?? {};
  return task?.id ?? said ?? title ?? id.replace(/^\w+:/, "");
}

/** The marks of the graph. @param {Timeline} timeline @param {Layout} layout @param {WaitGraph} graph @returns {Map<string, import("./film.js").Mark>} */
export function waitMarks(timeline, layout, { edges, circles }) {
  const number = new Map(circles.flatMap((way) => way.map((it, at) => [`${it}:${way[(at + 1) % way.length]}`, at + 1])));
  const stuck = new Set(circles.flat());
  const waiting = new Set(edges.map((it) => it.source));
  const out = new Map();
  const add = (id, mark) => out.set(id, { ...MARK, panel: "waits", ...mark });
  for (const [id, place] of layout.places) {
    if (stuck.has(id)) add(`stuck:${id}`, { x: place.x - 4, y: place.y - 4, w: place.w + 8, h: place.h + 8, stroke: "bad", bold: true, radius: 11, layer: 1 });
    add(id, id.startsWith("task:") ? taskMark(timeline, id, place, waiting.has(id)) : thingMark(timeline, id, place, edges));
  }
  for (const edge of edges) {
    const [from, to] = [layout.places.get(edge.source), layout.places.get(edge.target)];
    if (from && to) add(`arrow:${edge.source}:${edge.target}`, arrowMark(timeline.film, edge, from, to, number.get(`${edge.source}:${edge.target}`)));
  }
  return out;
}

function taskMark({ film, threads }, id, place, waits) {
  const task = film.tasks.find((it) => `task:${it.id}` === id);
  const { state = "idle" } = threads.get(task.id) ?? {};
  const doing = task.kind === "handler" ? "answers interrupts" : waits && state === "running" ? "made this step, and waits now" : DOING[state] ?? "";
  return {
    ...place, radius: 10, layer: 2, fill: "card", stroke: task.colour, bold: true, dashed: waits, face: waits ? "waits" : "runs",
    text: lines(place, named(film, id), doing, 13, task.colour), say: `${named(film, id)}: ${doing}`,
  };
}

function thingMark({ film }, id, place, edges) {
  const { title = id, kind = "" } = film.waited_for?.[id] ?? {};
  const wanted = edges.some((it) => it.target === id);
  return {
    ...place, radius: 2, layer: 2, fill: wanted ? "well" : "card", stroke: wanted ? "ink" : "edge", face: wanted ? "wanted" : "free",
    text: lines(place, title, kind, 11.5, wanted ? "ink" : "muted"), say: `${title} (${kind})`,
  };
}

function lines({ x, y, w, h }, title, below, size, ink) {
  const fits = Math.floor((w - 20) / (size * LETTER));
  const first = { s: title.length > fits ? `${title.slice(0, fits - 1)}…` : title, x: x + 10, y: y + h / 2 + 4, size, weight: 700, ink };
  if (!below || h < 34) return [first];
  return [{ ...first, y: y + h / 2 - 2 }, { s: below, x: x + 10, y: y + h / 2 + 13, size: 10.5, ink: "muted" }];
}

function arrowMark(film, { source, target, words }, from, to, number) {
  const waits = source.startsWith("task:");
  const between = from.x === to.x; // two tasks: round the left
  const port = waits ? -5 : 5;
  const [y, end] = [from.y + from.h / 2 + port, to.y + to.h / 2 + port];
  const [x, far] = between ? [from.x - 2, to.x - 3] : from.x < to.x ? [from.x + from.w + 2, to.x - 3] : [from.x - 2, to.x + to.w + 3];
  const points = between ? [[x, y], [x - 50, (y + end) / 2], [far, end]] : [[x, y], [far, end]];
  const middle = between ? { x: x - 27, y: (y + end) / 2 + 4 } : { x: x + (far - x) * 0.3, y: y + (end - y) * 0.3 + 4 }; // arrows cross in the middle
  return {
    shape: "arrow", points, layer: 4, stroke: number ? "bad" : "ink", bold: Boolean(number), dashed: waits, ends: [source, target],
    text: number ? [{ s: String(number), ...middle, size: 13, weight: 700, anchor: "middle", ink: "bad" }] : [],
    say: `${named(film, source)} ${words} ${named(film, target)}`,
  };
}

/** The graph in words: a line for each that waits, and one for each deadlock. @param {any} film @param {WaitGraph} graph @returns {string[]} */
export function waitsTold(film, { edges, circles }) {
  const after = (id) => edges.filter((it) => it.source === id);
  const holders = (id) => (!id.startsWith("task:") ? after(id).map((it) => `, ${it.words} ${named(film, it.target)}`).join("") : "");
  const out = edges.filter((it) => it.source.startsWith("task:")).map((it) => `${named(film, it.source)} ${it.words} ${named(film, it.target)}${holders(it.target)}.`);
  for (const way of circles) {
    const links = way.map((it, at) => {
      const next = way[(at + 1) % way.length];
      const { words } = /** @type {Edge} */ (edges.find((edge) => edge.source === it && edge.target === next));
      return `${!it.startsWith("task:") ? "," : at > 0 ? ", which" : ""} ${words} ${named(film, next)}`;
    });
    out.push(`Deadlock: ${named(film, way[0])}${links.join("")}. None can ever go on.`);
  }
  return out;
}
