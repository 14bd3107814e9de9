// What the step did, in words: its sentence, what it changed, the counts, who could run next.

import { html, paintNow, setAttribute, setText } from "./dom.js";
import { chip } from "./locks.js";

/** @typedef {import("./film.js").Timeline} Timeline */

const MOST = 6;
const CANDIDATES = 8; // of the longest sentences one is the tallest

/** The sentence that carries the step. */
export class Sentence {
  constructor(film) {
    this.number = html("span", { class: "rmw-number" });
    this.badge = html("span", { class: "rmw-badge" });
    this.text = html("p", { class: "rmw-sentence-text", role: "status", "aria-live": "polite" });
    this.more = html("button", { type: "button", class: "rmw-more", "aria-label": "more of the sentence", "aria-expanded": "false", hidden: true, onclick: () => this.#open(!this.open) }, "more");
    this.el = html("div", { class: "rmw-sentence" }, this.number, this.badge, html("div", { class: "rmw-said" }, this.text, this.more));
    this.setFilm(film);
  }

  /** Whether a sentence that is too long for a narrow page is shown whole: it stays so until the reader folds it. */
  get open() {
    return this.el.dataset.open === "true";
  }

  #open(open) {
    setAttribute(this.el, "data-open", open);
    setAttribute(this.more, "aria-expanded", String(open));
    setText(this.more, open ? "less" : "more");
    setAttribute(this.more, "aria-label", `${open ? "less" : "more"} of the sentence`);
    this.fit();
  }

  setFilm(film) {
    this.tasks = new Map(film.tasks.map((task) => [task.id, task]));
    this.violation = film.violation ?? null;
    setText(this.badge, this.violation?.kind ?? "");
    const sentences = [film.start ?? {}, ...film.steps].map((step) => step.sentence ?? "");
    if (this.violation) sentences[this.violation.step] = this.#told(sentences[this.violation.step], this.violation.step);
    this.longest = sentences.sort((a, b) => b.length - a.length).slice(0, CANDIDATES);
  }

  /** Keep room for the longest sentence at this width, so that nothing below it moves. */
  fit() {
    const twin = this.el.cloneNode(true);
    const [text, more] = twin.lastChild.children;
    twin.children[1].hidden = !this.violation;
    setAttribute(twin, "data-bug", Boolean(this.violation));
    for (const name of ["role", "aria-live"]) text.removeAttribute(name);
    twin.style.cssText = `position: absolute; visibility: hidden; width: ${this.el.offsetWidth}px`;
    this.el.parentNode.append(twin);
    const heights = this.longest.map((sentence) => {
      text.textContent = sentence;
      more.hidden = !this.open && !isCut(text);
      return twin.offsetHeight;
    });
    this.folds = getComputedStyle(text).webkitLineClamp !== "none" || this.open;
    twin.remove();
    this.el.style.minHeight = `${Math.max(...heights)}px`;
    this.#fold();
  }

  /** Offer the rest of a sentence that has no room; what is read aloud is always whole. */
  #fold() {
    this.more.hidden = !this.folds || (!this.open && !isCut(this.text));
  }

  /** @param {Timeline} timeline @param {boolean} playing while it plays the words are not read out: they would pile up */
  show(timeline, playing) {
    const { task, sentence } = timeline.step;
    const bug = this.violation !== null && timeline.place >= this.violation.step;
    setAttribute(this.el, "data-bug", bug);
    this.el.style.setProperty("--task", `var(--rw-${this.tasks.get(task)?.colour ?? "muted"})`);
    setAttribute(this.text, "aria-live", playing ? "off" : "polite");
    setText(this.number, String(timeline.place));
    this.badge.hidden = !bug;
    setText(this.text, this.#told(sentence, timeline.place));
    this.#fold();
  }

  /** A question in its place, until the next step is shown. */
  ask(question, task) {
    this.badge.hidden = true;
    this.el.style.setProperty("--task", `var(--rw-${this.tasks.get(task)?.colour ?? "muted"})`);
    setText(this.number, "?");
    setText(this.text, question);
    this.#fold();
  }

  /** The step's sentence; at the violation with what is violated, unless it says so itself. */
  #told(sentence, place) {
    const verdict = place === this.violation?.step ? this.violation.sentence : "";
    return verdict && !sentence.includes(verdict) ? `${sentence} ${verdict}` : sentence;
  }
}

/** Whether some lines of a text are not shown. */
function isCut(text) {
  return text.scrollHeight > text.clientHeight + 1;
}

/** What the step changed: field, value before, value after. */
export class Changed {
  constructor() {
    this.list = html("ul", { class: "rmw-changes" });
    this.note = html("p", { class: "rmw-prediction" });
    this.el = html("section", { class: "rmw-changed-panel", "aria-label": "Changed in this step" }, html("h3", {}, "Changed in this step"), this.list, this.note);
  }

  /** @param {Timeline} timeline @param {string} by the colour of who changed it @param {string} prediction */
  show(timeline, by, prediction) {
    paintNow(this.list, by);
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

/** The counts so far, in one line. */
export class Counts {
  constructor(film) {
    const states = [film.start ?? {}, ...film.steps];
    const names = new Set(states.flatMap((state) => Object.keys(state.counts ?? {})));
    this.values = new Map([...names].map((name) => [name, html("b", {}, "0")]));
    const items = [...this.values].map(([name, value]) => html("li", {}, `${name.replaceAll("_", " ")} `, value));
    this.el = html("ul", { class: "rmw-counts", "aria-label": "Counts so far" }, ...items);
  }

  /** @param {Timeline} timeline @param {string} by the colour of who counted */
  show(timeline, by) {
    paintNow(this.el, by);
    const before = timeline.standing[Math.max(0, timeline.place - 1)].counts;
    for (const [name, value] of this.values) {
      const now = timeline.now.counts[name] ?? 0;
      setText(value, String(now));
      setAttribute(value.parentNode, "data-changed", now !== (before[name] ?? 0));
    }
  }
}

/** What stands in the place of an empty list. @param {Timeline} timeline */
export function nobody({ film, place, length, now }) {
  if (film.violation && place >= film.violation.step) {
    return { can: "nobody: the violation ends the run", cannot: "the run is over for everyone" };
  }
  return { can: place === length ? "nobody: the run ends here" : "nobody", cannot: now.next.length > 0 ? "nobody has to wait" : "nobody" };
}

/**
 * Who could run next, and why the others cannot; if the reader may choose, each is a button.
 * @typedef {{choices: (place: number) => Map<string, (number | null)[]>, step: (task: string, choice: number | null) => void, runOn: (task: string) => void}} Chooser
 */
export class Next {
  /** @param {Timeline} timeline @param {Chooser | null} chooser */
  constructor(timeline, chooser = null) {
    this.tasks = new Map(timeline.film.tasks.map((task) => [task.id, task]));
    this.numbers = new Map(timeline.film.tasks.map((task, at) => [task.id, at + 1]));
    this.chooser = chooser;
    this.can = html("ul", { class: "rmw-can" });
    this.cannot = html("ul", { class: "rmw-cannot" });
    this.el = html("section", { class: "rmw-next", "aria-label": "Who could run next" },
      html("h3", {}, "Could run next ", chooser && html("small", {}, "click, or its number")), this.can, html("h3", {}, "Cannot run"), this.cannot);
    this.rows = 0;
    this.setTimeline(timeline);
  }

  /** Another film of the same tasks: what has been kept free stays so. */
  setTimeline({ standing }) {
    const rows = (count) => Math.max(1, Math.min(MOST + 1, count));
    this.rows = Math.max(this.rows, ...standing.map(({ next, blocked, done }) => rows(next.length) + rows(blocked.length + done.length)));
    this.el.style.setProperty("--rows", String(this.rows));
    this.now = undefined;
  }

  /** @param {Timeline} timeline */
  show(timeline) {
    const follows = timeline.steps[timeline.place + 1]?.task ?? null;
    if (timeline.now === this.now && follows === this.follows && !this.chooser) return; // the same list, and the same one goes on
    this.now = timeline.now;
    this.follows = follows;
    const { next, blocked, done } = timeline.now;
    const none = nobody(timeline);
    const first = this.chooser ? next : [...next].sort((a, b) => Number(b.task === follows) - Number(a.task === follows));
    const choices = this.chooser?.choices(timeline.place) ?? new Map();
    const focused = this.can.contains(document.activeElement) ? /** @type {any} */ (document.activeElement).dataset.let : undefined;
    this.#fill(this.can, first, (it) => html("li", { "data-follows": String(it.task === follows), title: it.why }, ...this.#row(it, choices.get(it.task))),
      none.can);
    if (focused !== undefined) (this.can.querySelector(`[data-let="${CSS.escape(focused)}"]`) ?? this.can.querySelector("button"))?.focus();
    const quiet = [...blocked, ...done.map((task) => ({ task, why: "has finished" }))];
    this.#fill(this.cannot, quiet, (it) => html("li", { title: it.why }, chip(this.tasks.get(it.task), it.task, "rmw-waits"), ` ${it.why}`), none.cannot);
  }

  /** A task that can step, and what it would do. @param {(number | null)[] | undefined} choices */
  #row({ task, why }, choices) {
    const name = chip(this.tasks.get(task), task);
    if (!this.chooser || !choices) return [name, ` ${why}`];
    const { step, runOn } = this.chooser;
    const button = (label, told, act, more) => html("button", { type: "button", class: `rmw-let ${more}`, "data-let": `${task} ${label}`, title: told, "aria-label": told, onclick: act }, label);
    const number = /** @type {number} */ (this.numbers.get(task));
    const key = number < 10 ? html("kbd", { "aria-hidden": "true" }, number) : "";
    if (choices.length > 1) {
      return [key, name, ` ${why}`, ...choices.map((it) => button(`${it}`, `${task}: ${why}: ${it}`, () => step(task, it), "rmw-choice"))];
    }
    const let1 = html("button", { type: "button", class: "rmw-let", "data-let": task, "aria-label": `${task} ${why}: let it step`, onclick: () => step(task, choices[0]) }, name, ` ${why}`);
    return [key, let1, button("»", `let ${task} run on until others can see what it did`, () => runOn(task), "rmw-leton")];
  }

  #fill(list, items, draw, none) {
    const rows = items.slice(0, MOST).map(draw);
    if (items.length > MOST) rows.push(html("li", {}, `and ${items.length - MOST} more`));
    if (rows.length === 0) rows.push(html("li", { class: "rmw-none" }, none));
    list.replaceChildren(...rows);
  }
}
