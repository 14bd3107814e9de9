// The machine's picture: marks joined to actors by their ids; a step moves those that it moves, and no others.

import { Actor } from "./actor.js";
import { html, paintNow, setAttribute, svg } from "./dom.js";
import { drawFrame, drawTitle, machinePanels, narrowFlow, wideFlow } from "./flow.js";
import { lerp } from "./glyphs.js";

/** @typedef {import("./film.js").Mark} Mark */

const LAYERS = 10;
/** The titles of panels stand below this layer: above arrows from panel to panel, below what travels. */
const TITLES = 4;
const BEND = 90;

export class Stage {
  /** @param {any} film @param {(id: string) => void} onChoose called when the reader clicks a mark */
  constructor(film, onChoose) {
    /** @type {Map<string, Actor>} */
    this.actors = new Map();
    /** @type {Set<Actor>} */
    this.moving = new Set();
    this.progress = 1;
    this.duration = 1;
    /** @type {Map<string, Mark>} */
    this.shown = new Map();
    /** @type {Set<string>} */
    this.ringed = new Set();
    this.frames = svg("g");
    this.titles = svg("g");
    this.layers = Array.from({ length: LAYERS }, () => svg("g"));
    const [below, above] = [this.layers.slice(0, TITLES), this.layers.slice(TITLES)];
    this.svg = svg("svg", { role: "img", class: "rmw-machine" }, this.frames, ...below, this.titles, ...above);
    this.el = html("div", { class: "rmw-stage" }, this.svg);
    this.svg.addEventListener("click", (event) => {
      const id = event.target.closest?.("[data-mark]")?.dataset.mark;
      if (id) onChoose(id);
    });
    this.setFilm(film);
  }

  /** Show another film from the next state on: its panels are as high as what stands in them needs. */
  setFilm(film) {
    const narrow = this.flow !== undefined && this.flow === this.narrow;
    this.film = film;
    this.wide = wideFlow(film);
    this.narrow = narrowFlow(film);
    this.flow = narrow ? this.narrow : this.wide;
    this.#placePanels();
  }

  /** Lay the panels out for a narrow or a wide page. */
  reflow(narrow) {
    const flow = narrow ? this.narrow : this.wide;
    if (flow === this.flow) return;
    this.finish();
    this.flow = flow;
    this.#placePanels();
    for (const actor of this.actors.values()) {
      actor.redraw(actor.mark, this.#points(actor.mark));
      actor.aim(this.#place(actor.mark));
      actor.arrive();
    }
  }

  /**
   * Show a state.
   * @param {Map<string, Mark>} marks
   * @param {{duration: number, changed: Set<string>, by: string}} options how long motion takes (0: none), and what
   *   gets a ring, in which colour
   */
  show(marks, { duration, changed, by }) {
    this.finish();
    this.duration = duration;
    this.progress = 0;
    for (const [id, actor] of this.actors) if (!marks.has(id)) this.#leave(actor);
    for (const [id, mark] of marks) {
      if (!this.actors.has(id)) this.#enter(id, mark);
      else if (this.shown.get(id) !== mark) this.#change(id, mark);
    }
    this.shown = new Map(marks);
    for (const id of this.ringed) this.actors.get(id)?.g.classList.remove("rmw-changed");
    for (const id of changed) if (this.actors.has(id)) paintNow(/** @type {Actor} */ (this.actors.get(id)).g, by).classList.add("rmw-changed");
    this.ringed = changed;
    if (duration > 0) this.#draw();
    else this.finish();
  }

  /** Mark the objects at fault. @param {string[]} ids */
  accuse(ids) {
    for (const [id, actor] of this.actors) actor.g.classList.toggle("rmw-culprit", ids.includes(id));
  }

  /** Time has passed. @param {number} elapsed milliseconds */
  tick(elapsed) {
    if (this.moving.size === 0) return;
    this.progress += elapsed / this.duration;
    if (this.progress >= 1) this.finish();
    else this.#draw();
  }

  /** Put everything where it goes. */
  finish() {
    for (const actor of this.moving) {
      actor.arrive();
      actor.g.classList.remove("rmw-flying");
      if (!actor.leaving) continue;
      actor.g.remove();
      this.actors.delete(actor.id);
    }
    this.moving.clear();
  }

  /** Say what the picture shows to those who do not see it. */
  label(text) {
    setAttribute(this.svg, "aria-label", text);
  }

  #draw() {
    const t = this.progress;
    const eased = t < 0.5 ? 4 * t * t * t : 1 - (-2 * t + 2) ** 3 / 2;
    for (const actor of this.moving) actor.move(t, eased);
  }

  #enter(id, mark) {
    const actor = new Actor(id);
    this.actors.set(id, actor);
    actor.redraw(mark, this.#points(mark));
    actor.place = { ...this.#place(mark), o: 0 };
    this.#layer(mark).append(actor.g);
    if (mark.shape === "arrow" && this.duration > 0) {
      actor.runner = svg("circle", { class: "rmw-runner", r: 4.5, style: `fill: var(--rw-${mark.stroke})` });
      this.layers[LAYERS - 1].append(actor.runner);
    }
    this.#send(actor, mark);
  }

  #change(id, mark) {
    const actor = /** @type {Actor} */ (this.actors.get(id));
    const points = this.#points(mark);
    actor.turns = this.duration > 0 && mark.face !== "" && mark.face !== actor.mark.face;
    if (actor.turns) actor.hidden = { mark, points };
    else if (differs(actor.mark, mark)) actor.redraw(mark, points);
    else actor.mark = mark;
    if (actor.g.parentNode !== this.#layer(mark)) this.#layer(mark).append(actor.g);
    this.#send(actor, mark);
    if (actor.travels && mark.shape === "token") actor.g.classList.add("rmw-flying");
  }

  #leave(actor) {
    actor.leaving = true;
    actor.aim({ ...actor.place, o: 0 });
    this.moving.add(actor);
  }

  #send(actor, mark) {
    if (actor.aim(this.#place(mark))) this.moving.add(actor);
    else actor.arrive();
  }

  #layer(mark) {
    return this.layers[Math.max(0, Math.min(LAYERS - 1, mark.layer))];
  }

  #placePanels() {
    const { w, h, at } = this.flow;
    setAttribute(this.svg, "viewBox", `-2 -2 ${w + 4} ${h + 4}`);
    const shown = machinePanels(this.film).filter((panel) => at.has(panel.id));
    const corner = (panel) => /** @type {number[]} */ (at.get(panel.id));
    this.frames.replaceChildren(...shown.filter((panel) => panel.frame).map((panel) => drawFrame(panel, corner(panel))));
    this.titles.replaceChildren(...shown.map((panel) => drawTitle(panel, corner(panel))));
  }

  /** Where a mark belongs in the plane. */
  #place(mark) {
    const corner = this.flow.at.get(mark.panel);
    const [x, y] = corner ?? [0, 0];
    const hidden = corner === undefined && mark.panel !== "machine";
    return { x: x + mark.x, y: y + mark.y, w: mark.w, h: mark.h, o: hidden ? 0 : 1 };
  }

  /** An arrow's points from its corner; its ends go along when the panels of the marks they touch are moved. */
  #points(mark) {
    const points = mark.points.map(([x, y]) => [x - mark.x, y - mark.y]);
    if (mark.ends.length < 2 || this.flow === this.wide) return points;
    const shift = (panel) => this.flow.shift.get(panel) ?? [0, 0];
    const own = shift(mark.panel);
    const [from, to] = mark.ends.map((id) => shift((this.actors.get(id)?.mark ?? this.film.first[id])?.panel));
    const last = points.length - 1;
    const moved = points.map(([x, y], i) => [x + lerp(from[0], to[0], i / last) - own[0], y + lerp(from[1], to[1], i / last) - own[1]]);
    // What ran beside each other now runs down: bend it aside, so that it does not hide what lies between.
    const upright = last > 1 && Math.abs(moved[last][0] - moved[0][0]) < 40;
    return moved.map(([x, y], i) => [x + (upright && i > 0 && i < last ? BEND : 0), y]);
  }
}

/** Whether two marks look different, wherever they stand. */
function differs(a, b) {
  for (const key of ["shape", "w", "h", "fill", "stroke", "dashed", "dotted", "bold", "tip", "say", "radius", "face", "panel"]) {
    if (a[key] !== b[key]) return true;
  }
  if (a.shape === "arrow") return true;
  const line = (mark) => JSON.stringify(mark.text.map((it) => ({ ...it, x: it.x - mark.x, y: it.y - mark.y })));
  return line(a) !== line(b);
}
