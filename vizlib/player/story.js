// What the step did, in words: its sentence, what it changed, the counts, who could run next.

import { html, setAttribute, setText } from "./dom.js";
import { chip } from "./locks.js";

/** @typedef {import("./film.js").Timeline} Timeline */

const MOST = 6;

/** The sentence that carries the step. */
export class Sentence {
  constructor(film) {
    this.tasks = new Map(film.tasks.map((task) => [task.id, task]));
    this.violation = film.violation ?? null;
    this.number = html("span", { class: "rmw-number" });
    this.text = html("p", { class: "rmw-sentence-text", role: "status", "aria-live": "polite" });
    this.el = html("div", { class: "rmw-sentence" }, this.number, this.text);
  }

  /** @param {Timeline} timeline @param {boolean} playing while it plays the words are not read out: they would pile up */
  show(timeline, playing) {
    const { task, sentence } = timeline.step;
    const bug = this.violation !== null && timeline.place >= this.violation.step;
    setAttribute(this.el, "data-bug", bug);
    this.el.style.setProperty("--task", `var(--rw-${this.tasks.get(task)?.colour ?? "muted"})`);
    setAttribute(this.text, "aria-live", playing ? "off" : "polite");
    setText(this.number, String(timeline.place));
    const verdict = bug && timeline.place === this.violation.step ? this.violation.sentence : "";
    setText(this.text, verdict && !sentence.includes(verdict) ? `${sentence} ${verdict}` : sentence);
  }
}

/** What the step changed: field, value before, value after. */
export class Changed {
  constructor() {
    this.list = html("ul", { class: "rmw-changes" });
    this.note = html("p", { class: "rmw-prediction" });
    this.el = html("section", { class: "rmw-changed-panel", "aria-label": "Changed in this step" }, html("h3", {}, "Changed in this step"), this.list, this.note);
  }

  /** @param {Timeline} timeline @param {string} prediction */
  show(timeline, prediction) {
    const { changed } = timeline.step;
    const rows = changed.slice(0, MOST).map((it) =>
      html("li", {}, html("b", {}, it.what), html("span", {}, html("s", {}, it.from), " → ", html("ins", {}, it.to))));
    if (changed.length > MOST) rows.push(html("li", {}, `and ${changed.length - MOST} more`));
    if (rows.length === 0) rows.push(html("li", { class: "rmw-none" }, timeline.place === 0 ? "the start" : "nothing that others can see"));
    this.list.replaceChildren(...rows);
    this.note.hidden = !prediction;
    setText(this.note, prediction ? `You predicted: ${prediction}` : "");
  }
}

/** The counts so far. */
export class Counts {
  constructor(film) {
    this.names = Object.keys(film.start?.counts ?? {});
    for (const step of film.steps) for (const name of Object.keys(step.counts ?? {})) if (!this.names.includes(name)) this.names.push(name);
    this.values = new Map(this.names.map((name) => [name, html("b", {}, "0")]));
    this.el = html("section", { class: "rmw-counts", "aria-label": "Counts so far" }, html("h3", {}, "Counts so far"),
      html("ul", {}, ...this.names.map((name) => html("li", {}, this.values.get(name), " ", name.replaceAll("_", " ")))));
    this.el.hidden = this.names.length === 0;
  }

  /** @param {Timeline} timeline */
  show(timeline) {
    const before = timeline.standing[Math.max(0, timeline.place - 1)].counts;
    for (const [name, value] of this.values) {
      const now = timeline.now.counts[name] ?? 0;
      setText(value, String(now));
      setAttribute(value.parentNode, "data-changed", now !== (before[name] ?? 0));
    }
  }
}

/** Who could run next, and why the others cannot. */
export class Next {
  constructor(film) {
    this.film = film;
    this.tasks = new Map(film.tasks.map((task) => [task.id, task]));
    this.can = html("ul", { class: "rmw-can" });
    this.cannot = html("ul", { class: "rmw-cannot" });
    this.el = html("section", { class: "rmw-next", "aria-label": "Who could run next" },
      html("div", {}, html("h3", {}, "Could run next"), this.can), html("div", {}, html("h3", {}, "Cannot run"), this.cannot));
  }

  /** @param {Timeline} timeline */
  show(timeline) {
    const follows = timeline.steps[timeline.place + 1]?.task ?? null;
    if (timeline.now === this.now && follows === this.follows) return;
    this.now = timeline.now;
    this.follows = follows;
    const { next, blocked, done } = timeline.now;
    const first = [...next].sort((a, b) => Number(b.task === follows) - Number(a.task === follows));
    this.#fill(this.can, first, (it) => html("li", { "data-follows": it.task === follows }, chip(this.tasks.get(it.task), it.task), ` ${it.why ?? it.what ?? ""}`),
      "nobody");
    const quiet = [...blocked, ...done.map((task) => ({ task, why: "has finished" }))];
    this.#fill(this.cannot, quiet, (it) => html("li", {}, chip(this.tasks.get(it.task), it.task, "rmw-waits"), ` ${it.why}`), "nobody: everyone could");
  }

  #fill(list, items, draw, none) {
    const rows = items.slice(0, MOST).map(draw);
    if (items.length > MOST) rows.push(html("li", {}, `and ${items.length - MOST} more`));
    if (rows.length === 0) rows.push(html("li", { class: "rmw-none" }, none));
    list.replaceChildren(...rows);
  }
}
