// The run as lanes: one a task, bars for what it holds, waits for and does; a click goes there.

import { html, setAttribute, svg } from "./dom.js";

const ROW = 22;
const LETTER = 6.1; // the width of a letter in a bar's label

export class Lanes {
  /** @param {any} film @param {(place: number) => void} onSeek */
  constructor(film, onSeek) {
    this.film = film;
    this.steps = Math.max(1, film.steps.length);
    const used = new Set([...(film.lanes ?? []).map((it) => it.task), ...(film.arrows ?? []).flatMap((it) => [it.from, it.to])]);
    this.tasks = film.tasks.filter((task) => used.has(task.id));
    this.row = new Map(this.tasks.map((task, i) => [task.id, i]));
    this.height = this.tasks.length * ROW;
    this.svg = svg("svg", { class: "rmw-bars", height: this.height + 8, "aria-hidden": "true" });
    this.head = html("div", { class: "rmw-playhead", "aria-hidden": "true" });
    this.field = html("div", { class: "rmw-field" }, this.svg, this.head);
    const names = this.tasks.map((task) => html("li", { style: `--task: var(--rw-${task.colour})` }, task.title ?? task.id));
    this.el = html("section", { class: "rmw-lanes", "aria-label": "Lanes" }, html("h3", {}, "Lanes"),
      html("div", { class: "rmw-lanebox" }, html("ul", {}, ...names), this.field));
    this.el.hidden = this.tasks.length === 0;
    this.width = 0;
    const seek = (event) => {
      const { left, width } = this.field.getBoundingClientRect();
      onSeek(Math.round(((event.clientX - left) / width) * this.steps));
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
    this.svg.replaceChildren(...this.tasks.map((_, i) => svg("rect", { class: "rmw-track", x: 0, y: i * ROW + 4, width, height: ROW - 5, rx: 4 })),
      ...(this.film.lanes ?? []).flatMap((bar) => this.#bar(bar)), ...(this.film.arrows ?? []).flatMap((arrow) => this.#arrow(arrow)),
      ...this.#violation());
  }

  /** @param {number} place */
  show(place) {
    this.head.style.left = `${(100 * place) / this.steps}%`;
  }

  #x(step) {
    return (step / this.steps) * this.width;
  }

  /** A bar covers the steps from..to inclusive: from the place before the first to the place after the last. */
  #bar({ task, from, to, kind, label, colour }) {
    const row = this.row.get(task);
    if (row === undefined) return [];
    const x = this.#x(Math.max(0, from - 1));
    const width = Math.max(1.5, this.#x(to) - x - 1);
    const slim = kind === "run" || kind === "user";
    const rect = svg("rect", { class: "rmw-bar", "data-kind": kind, x, y: row * ROW + (slim ? 7 : 4), width, height: slim ? ROW - 11 : ROW - 5, rx: 4,
      style: `--task: var(--rw-${colour ?? this.tasks[row].colour}); --soft: var(--rw-${this.tasks[row].colour}-soft)` });
    if (label) rect.append(svg("title", {}, `${label}: steps ${from} to ${to}`));
    if (!label || label.length * LETTER > width - 8) return [rect];
    return [rect, svg("text", { class: "rmw-barlabel", "data-kind": kind, x: x + width / 2, y: row * ROW + 16, "text-anchor": "middle",
      style: `--task: var(--rw-${this.tasks[row].colour})` }, label)];
  }

  #arrow({ kind, from, to, sent, taken, label }) {
    const [a, b] = [this.row.get(from), this.row.get(to)];
    if (a === undefined || b === undefined) return [];
    const [x1, x2] = [this.#x(sent), this.#x(taken ?? this.steps)];
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

  #violation() {
    const { violation } = this.film;
    if (!violation) return [];
    const x = this.#x(violation.step);
    return [svg("path", { class: "rmw-buglane", d: `M${x} 0V${this.height + 4}` }, svg("title", {}, violation.sentence))];
  }
}
