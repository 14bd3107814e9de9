// The threads: a card each, at fixed places, and the call stack and source of one of them.

import { html, keepInView, setAttribute, setText } from "./dom.js";

/** @typedef {import("./film.js").Timeline} Timeline */

const STATES = {
  running: "running", ready: "can run", waiting: "waiting", spinning: "spinning", user: "user code", idle: "idle",
  done: "finished",
};
const HANDLER = { idle: "idle", ready: "IPI waits", running: "takes the IPI" };
const MANY = 6; // more threads than this get one line each, two beside each other
const MANY_HANDLERS = 8; // more than this, and those that have nothing to do are left out
const ABOVE = 2; // lines of source above the current one
const SHOWN = 6; // lines of source in all
const DEEPEST = 7; // call stacks longer than this lose their outer part

export class Threads {
  /** @param {any} film @param {(task: string) => void} onChoose */
  constructor(film, onChoose) {
    this.film = film;
    this.cards = new Map(film.tasks.map((task) => [task.id, new Card(task, onChoose)]));
    this.code = new Code(film);
    const cards = (handlers) => film.tasks.filter((task) => (task.kind === "handler") === handlers).map((task) => this.cards.get(task.id).el);
    this.el = html("section", { class: "rmw-threads", "aria-label": "Threads" }, html("h3", {}, "Threads"),
      html("div", { class: "rmw-cards", "data-many": cards(false).length > MANY }, ...cards(false)),
      html("div", { class: "rmw-handlers", "data-many": cards(true).length > MANY_HANDLERS, "aria-label": "Interrupt handlers", role: "group" }, ...cards(true)), this.code.el);
    /** @type {string | null} */
    this.last = null;
  }

  /** Another film of the same tasks. */
  setFilm(film) {
    this.film = film;
    this.code.film = film;
  }

  /**
   * @param {Timeline} timeline
   * @param {string | null} chosen the task the reader has chosen
   * @param {boolean} follow whether to scroll to the card of the task that acts
   */
  show(timeline, chosen, follow = true) {
    const { task } = timeline.step;
    for (const [id, card] of this.cards) {
      card.show(timeline.threads.get(id), id === task, id === chosen, this.film.sources);
    }
    if (follow) keepInView(this.cards.get(chosen ?? task)?.el);
    const told = chosen ?? task ?? this.last ?? this.film.tasks[0]?.id;
    this.last = told;
    this.code.show(this.film.tasks.find((it) => it.id === told), timeline.threads.get(told));
  }
}

class Card {
  constructor(task, onChoose) {
    const cpu = task.cpu === null || task.cpu === undefined ? "" : `CPU ${String(task.cpu).replace(/\D+/g, "")}`;
    this.title = task.title ?? task.id;
    this.state = html("span", { class: "rmw-state" });
    this.status = html("span", { class: "rmw-status" });
    const handler = task.kind === "handler";
    this.handler = handler;
    this.el = html(
      "button",
      {
        type: "button", class: `rmw-thread${handler ? " rmw-handler" : ""}`, style: `--task: var(--rw-${task.colour})`,
        "data-task": task.id, "aria-pressed": "false", onclick: () => onChoose(task.id),
      },
      html("span", { class: "rmw-row" }, html("span", { class: "rmw-name" }, task.id), handler ? null : html("span", { class: "rmw-on" }, cpu), this.state),
      this.status,
    );
  }

  show(thread, acts, chosen, sources) {
    setAttribute(this.el, "aria-pressed", String(chosen));
    setAttribute(this.el, "data-acts", acts);
    if (thread === this.thread) return;
    this.thread = thread;
    const state = thread?.state ?? "idle";
    setAttribute(this.el, "data-state", state);
    setText(this.state, STATES[state] ?? state);
    if (this.handler) {
      setText(this.status, HANDLER[state] ?? thread?.status ?? "");
      return;
    }
    const stuck = state === "waiting" || state === "spinning";
    const [source, line] = thread?.stack.at(-1) ?? [];
    const inside = sources[source];
    const code = !stuck && inside !== undefined;
    setAttribute(this.status, "data-code", code);
    setText(this.status, code ? `${inside.function}:${line}` : (!stuck && thread?.user) || thread?.status || "");
    setAttribute(this.el, "title", [this.title, thread?.status].filter(Boolean).join(": "));
  }
}

/** The call stack of one thread, and the lines around the one it is at. */
class Code {
  constructor(film) {
    this.film = film;
    this.head = html("h4", {});
    this.stack = html("ol", { class: "rmw-stack rmw-mono" });
    this.source = html("div", { class: "rmw-source rmw-mono", tabindex: "0", role: "region", "aria-label": "Source" });
    this.link = html("a", { target: "_blank", rel: "noopener noreferrer" });
    this.file = html("span");
    this.foot = html("p", { class: "rmw-cite" }, this.file, this.link);
    this.el = html("div", { class: "rmw-code" }, this.head, this.stack, this.source, this.foot);
  }

  show(task, thread) {
    if (!task || (thread === this.thread && task === this.task)) return;
    this.thread = thread;
    this.task = task;
    this.el.style.setProperty("--task", `var(--rw-${task.colour})`);
    setAttribute(this.head, "title", task.title);
    this.head.replaceChildren(html("b", {}, task.id), task.title && task.title !== task.id ? ` ${task.title}` : "");
    const frames = thread?.stack ?? [];
    this.#showStack(frames, thread);
    this.#showSource(frames.at(-1));
  }

  #showStack(frames, thread) {
    const skipped = frames.length > DEEPEST ? frames.length - DEEPEST + 1 : 0;
    const rows = frames.slice(skipped).map(([source, line], depth) =>
      html("li", { style: `--depth: ${depth}` }, `${this.film.sources[source].function}`, html("span", {}, `:${line}`)));
    if (skipped > 0) rows.unshift(html("li", { title: frames.slice(0, skipped).map(([source]) => this.film.sources[source].function).join(" → ") }, `… ${skipped} outer calls`));
    if (frames.length === 0) rows.push(html("li", {}, thread?.user ? `user code: ${thread.user}` : thread?.status || "no kernel code"));
    this.stack.replaceChildren(...rows);
  }

  #showSource(frame) {
    const source = frame && this.film.sources[frame[0]];
    this.foot.replaceChildren(this.file);
    setText(this.file, source?.file ?? "");
    this.source.replaceChildren();
    if (!source) return;
    const lines = around(source, frame[1]);
    const indent = Math.min(...lines.map(({ text }) => text.length - text.trimStart().length));
    this.source.replaceChildren(...lines.map(({ text, number }) => {
      const current = number === frame[1];
      return html("div", { class: current ? "rmw-current" : null, "aria-current": current ? "true" : null, title: text.trim() },
        html("span", {}, String(number)), html("code", {}, text.slice(indent)));
    }));
    if (!source.kernel) return;
    const address = kernelAddress(source.kernel);
    setText(this.link, source.kernel);
    setAttribute(this.link, "href", address);
    this.foot.append(" · kernel: ", address ? this.link : source.kernel);
    setAttribute(this.foot, "title", `${source.file} · kernel: ${source.kernel}`);
  }
}

/** The lines of a function around one of them, blank ones (and the docstring's, which the film leaves blank) left out. */
export function around(source, number) {
  const lines = source.lines.map((text, i) => ({ text, number: source.first + i })).filter((it) => it.text.trim() || it.number === number);
  const at = lines.findIndex((it) => it.number === number);
  const begin = Math.max(0, Math.min(at - ABOVE, lines.length - SHOWN));
  return lines.slice(begin, begin + SHOWN);
}

/** Where the kernel's own line can be read: `mm/rmap.c:1470 (v3.7)`. Null if it has no version of the tree. */
export function kernelAddress(citation) {
  const found = /^(\S+):(\d+) \((v[\d.]+)\)/.exec(citation ?? "");
  return found && `https://elixir.bootlin.com/linux/${found[3]}/source/${found[1]}#L${found[2]}`;
}
