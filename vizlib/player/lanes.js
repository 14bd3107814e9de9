// The run as lanes: one a task, bars for what it holds, waits for and does; a click goes there.

import { html, setAttribute, svg } from "./dom.js";

const ROW = 24;
const LETTER = 6.2; // the width of a letter in a bar's label
const LEVELS = [0, 15, 30, 50]; // lock ranks: the further in a lock is, the darker its bar
const KINDS = ["run", "user", "hold", "copy", "wait"]; // what lies over what
const INNERMOST = 3; // a spinlock's bar is a thin one, below the others' labels

export class Lanes {
  /**
   * @param {any} film
   * @param {(place: number) => void} onSeek
   * @param {{span?: number, at?: (place: number) => number, place?: (at: number) => number}} axis how long it is, and where on it a place of the film stands
   */
  constructor(film, onSeek, axis = {}) {
    this.film = film;
    this.axis = { span: film.steps.length, at: (place) => place, place: (at) => Math.round(at), ...axis };
    this.steps = Math.max(1, this.axis.span);
    const used = new Set([...(film.lanes ?? []).map((it) => it.task), ...(film.arrows ?? []).flatMap((it) => [it.from, it.to])]);
    this.tasks = film.tasks.filter((task) => used.has(task.id));
    this.row = new Map(this.tasks.map((task, i) => [task.id, i]));
    this.height = this.tasks.length * ROW;
    this.svg = svg("svg", { class: "rmw-bars", height: this.height + 8, "aria-hidden": "true" });
    this.head = html("div", { class: "rmw-playhead", "aria-hidden": "true" });
    this.field = html("div", { class: "rmw-field" }, this.svg, this.head);
    const names = this.tasks.map((task) => html("li", { title: task.title ?? null, style: `--task: var(--rw-${task.colour})` }, task.id));
    this.el = html("section", { class: "rmw-lanes", "aria-label": "Lanes" }, html("h3", {}, "Lanes"),
      html("div", { class: "rmw-lanebox" }, html("ul", {}, ...names), this.field));
    this.el.hidden = this.tasks.length === 0;
    this.width = 0;
    const seek = (event) => {
      const { left, width } = this.field.getBoundingClientRect();
      onSeek(this.axis.place(((event.clientX - left) / width) * this.steps));
    };
    this.field.addEventListener("pointerdown", (event) => {
      this.field.setPointerCapture(event.pointerId);
      seek(event);
    });
    this.field.addEventListener("pointermove", (event) => event.buttons & 1 && seek(event));
  }

  /** Draw the bars anew if the width has changed. */
  resize() {
    const width = Math.round(this.field.clientWidth);
    if (width === 0 || width === this.width) return;
    this.width = width;
    setAttribute(this.svg, "width", width);
    const tracks = this.tasks.map((_, i) => svg("rect", { class: "rmw-track", x: 0, y: i * ROW + 3, width, height: ROW - 6, rx: 4 }));
    this.svg.replaceChildren(...tracks, ...this.tasks.flatMap((task) => this.#lane(task)), ...(this.film.arrows ?? []).flatMap((arrow) => this.#arrow(arrow)),
      ...this.#violation(), ...(this.film.ticks ?? []).map((tick) => this.#tick(tick)));
  }

  /** @param {number} place */
  show(place) {
    this.head.style.left = `${(100 * Math.min(this.axis.at(place), this.steps)) / this.steps}%`;
  }

  #x(step) {
    return (this.axis.at(step) / this.steps) * this.width;
  }

  /** One task's bars, inner locks over outer ones, and a label wherever one fits into what is left to be seen. */
  #lane(task) {
    const bars = (this.film.lanes ?? []).filter((bar) => bar.task === task.id)
      .map((bar) => ({ ...bar, rank: bar.rank ?? 0, x: this.#x(Math.max(0, bar.from - 1)), end: this.#x(bar.to) }))
      .sort((a, b) => KINDS.indexOf(a.kind) - KINDS.indexOf(b.kind) || a.rank - b.rank);
    return bars.flatMap((bar, i) => {
      const inner = bars.slice(i + 1).filter((other) => levelOf(other) !== INNERMOST);
      return [this.#bar(task, bar), ...this.#label(task, bar, inner)];
    });
  }

  #bar(task, bar) {
    const { from, to, kind, label, x, end } = bar;
    const level = levelOf(bar);
    const [top, height] = level === INNERMOST ? [ROW - 7, 4] : kind === "run" || kind === "user" ? [7, ROW - 14] : [3, ROW - 6];
    const rect = svg("rect", { class: "rmw-bar", "data-kind": kind, "data-level": level, x, width: Math.max(1.5, end - x - 0.5),
      y: this.row.get(task.id) * ROW + top, height, rx: Math.min(3.5, height / 2),
      style: `--task: var(--rw-${task.colour}); --soft: var(--rw-${task.colour}-soft)` });
    if (label) rect.append(svg("title", {}, `${label}: step ${from} to ${to}`));
    return rect;
  }

  #label(task, bar, inner) {
    const level = levelOf(bar);
    const [from, to] = widestGap(bar.x, bar.end, inner.map((it) => [it.x, it.end]));
    const words = shortened(bar.label ?? "", Math.floor((to - from - 10) / LETTER));
    if (!words || level === INNERMOST) return [];
    return [svg("text", { class: "rmw-barlabel", "data-kind": bar.kind, "data-level": level, x: (from + to) / 2, y: this.row.get(task.id) * ROW + 15,
      "text-anchor": "middle", style: `--task: var(--rw-${task.colour})` }, words)];
  }

  #arrow({ kind, from, to, sent, taken, label }) {
    const [a, b] = [this.row.get(from), this.row.get(to)];
    if (a === undefined || b === undefined) return [];
    const [x1, x2] = [this.#x(sent), this.#x(taken ?? this.film.steps.length)];
    const down = b > a;
    const [y1, y2] = [a * ROW + (down ? ROW - 3 : 6), b * ROW + (down ? 5 : ROW - 3)];
    const angle = Math.atan2(y2 - y1, x2 - x1);
    const corner = (turn) => `${x2 - 7 * Math.cos(angle + turn)} ${y2 - 7 * Math.sin(angle + turn)}`;
    const g = svg("g", { class: "rmw-lanearrow", "data-kind": kind, "data-taken": String(taken !== null && taken !== undefined),
      style: `--task: var(--rw-${this.tasks[a].colour})` },
      svg("path", { d: `M${x1} ${y1}L${x2} ${y2}` }), svg("path", { class: "rmw-head", d: `M${x2} ${y2}L${corner(0.4)}L${corner(-0.4)}Z` }));
    if (label) g.append(svg("title", {}, label));
    return [g];
  }

  /** A step that is marked, with its reason. */
  #tick({ step, label }) {
    const x = this.#x(step - 0.5);
    return svg("path", { class: "rmw-tick", d: `M${x - 5} -6H${x + 5}L${x} 2Z` }, svg("title", {}, label));
  }

  #violation() {
    const { violation } = this.film;
    if (!violation) return [];
    const x = this.#x(violation.step);
    return [svg("path", { class: "rmw-buglane", d: `M${x} 0V${this.height + 4}` }, svg("title", {}, violation.sentence))];
  }
}

/** A label cut to a number of letters; nothing at all if too few of it would be left. */
export function shortened(label, letters) {
  if (label.length <= letters) return label;
  return letters < 8 ? "" : `${label.slice(0, letters - 1).trimEnd()}…`;
}

/** How far in a lock is, or null if the bar shows none. */
function levelOf({ kind, rank }) {
  return kind === "hold" ? LEVELS.findLastIndex((least) => rank >= least) : null;
}

/** The widest stretch of from..to that none of the covers lies on. */
export function widestGap(from, to, covers) {
  let best = [from, from];
  let at = from;
  for (const [start, end] of [...covers.filter(([a, b]) => b > from && a < to).sort((a, b) => a[0] - b[0]), [to, to]]) {
    if (start - at > best[1] - best[0]) best = [at, start];
    at = Math.max(at, end);
  }
  return best;
}
