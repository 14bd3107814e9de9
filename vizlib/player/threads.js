// The threads: a card each, at fixed places, and the call stack and source of one of them.

import { html, setAttribute, setText } from "./dom.js";

/** @typedef {import("./film.js").Timeline} Timeline */

const STATES = {
  running: "running", ready: "can run", waiting: "waiting", spinning: "spinning", user: "user code", idle: "idle",
  done: "finished",
};
const AROUND = 2; // lines of source above and below the current one
const DEEPEST = 9; // call stacks longer than this lose their outer part

export class Threads {
  /** @param {any} film @param {(task: string) => void} onChoose */
  constructor(film, onChoose) {
    this.film = film;
    this.cards = new Map(film.tasks.map((task) => [task.id, new Card(task, onChoose)]));
    this.code = new Code(film);
    this.list = html("div", { class: "rmw-cards" }, ...[...this.cards.values()].map((card) => card.el));
    this.el = html("section", { class: "rmw-threads", "aria-label": "Threads" }, html("h3", {}, "Threads"), this.list, this.code.el);
    /** @type {string | null} */
    this.last = null;
  }

  /** @param {Timeline} timeline @param {string | null} chosen the task the reader has chosen */
  show(timeline, chosen) {
    const { task } = timeline.step;
    for (const [id, card] of this.cards) {
      card.show(timeline.threads.get(id), id === task, id === chosen, this.film.sources);
    }
    const told = chosen ?? task ?? this.last ?? this.film.tasks[0]?.id;
    this.last = told;
    this.code.show(this.film.tasks.find((it) => it.id === told), timeline.threads.get(told));
  }
}

class Card {
  constructor(task, onChoose) {
    const cpu = task.cpu === null || task.cpu === undefined ? "" : `CPU ${String(task.cpu).replace(/\D+/g, "")}`;
    this.name = html("span", { class: "rmw-name" }, task.title ?? task.id);
    this.state = html("span", { class: "rmw-state" });
    this.status = html("span", { class: "rmw-status" });
    this.line = html("span", { class: "rmw-line rmw-mono" });
    const handler = task.kind === "handler";
    this.el = html(
      "button",
      {
        type: "button", class: `rmw-thread${handler ? " rmw-handler" : ""}`, style: `--task: var(--rw-${task.colour})`,
        "data-task": task.id, "aria-pressed": "false", onclick: () => onChoose(task.id),
      },
      html("span", { class: "rmw-row" }, html("span", { class: "rmw-dot", "aria-hidden": "true" }), this.name,
        handler ? null : html("span", { class: "rmw-on" }, cpu), this.state),
      this.status,
      handler ? null : this.line,
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
    setText(this.status, thread?.status ?? "");
    setAttribute(this.el, "title", thread?.status || null);
    const [source, line] = thread?.stack.at(-1) ?? [];
    const inside = sources[source];
    setText(this.line, inside ? `${inside.function}:${line}` : thread?.user ? `user: ${thread.user}` : "");
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
    this.foot = html("p", { class: "rmw-cite" }, html("span", {}), this.link);
    this.el = html("div", { class: "rmw-code" }, this.head, this.stack, this.source, this.foot);
  }

  show(task, thread) {
    if (!task || (thread === this.thread && task === this.task)) return;
    this.thread = thread;
    this.task = task;
    this.el.style.setProperty("--task", `var(--rw-${task.colour})`);
    this.head.replaceChildren(html("b", {}, task.title ?? task.id), thread?.stack.length ? " is here" : "");
    const frames = thread?.stack ?? [];
    this.#showStack(frames, thread);
    this.#showSource(frames.at(-1));
  }

  #showStack(frames, thread) {
    const skipped = Math.max(0, frames.length - DEEPEST);
    const rows = frames.slice(skipped).map(([source, line], depth) =>
      html("li", { style: `--depth: ${depth}` }, `${this.film.sources[source].function}`, html("span", {}, `:${line}`)));
    if (skipped > 0) rows.unshift(html("li", { class: "rmw-skipped" }, `… ${skipped} more`));
    if (frames.length === 0) rows.push(html("li", {}, thread?.user ? `user code: ${thread.user}` : thread?.status || "no kernel code"));
    this.stack.replaceChildren(...rows);
    this.stack.scrollTop = this.stack.scrollHeight;
  }

  #showSource(frame) {
    const source = frame && this.film.sources[frame[0]];
    this.source.hidden = !source;
    this.foot.hidden = !source;
    if (!source) return;
    const at = frame[1] - source.first;
    const begin = Math.max(0, Math.min(at - AROUND, source.lines.length - 2 * AROUND - 1));
    const lines = source.lines.slice(begin, begin + 2 * AROUND + 1);
    const indent = Math.min(...lines.filter((it) => it.trim()).map((it) => it.length - it.trimStart().length));
    this.source.replaceChildren(...lines.map((text, i) => {
      const current = begin + i === at;
      return html("div", { class: current ? "rmw-current" : null, "aria-current": current ? "true" : null, title: text.trim() },
        html("span", {}, String(source.first + begin + i)), html("code", {}, text.slice(indent) || " "));
    }));
    setText(this.foot.firstChild, `${source.file} · kernel: `);
    setText(this.link, source.kernel ?? "");
    setAttribute(this.link, "href", kernelAddress(source.kernel));
  }
}

/** Where the kernel's own line can be read: `mm/rmap.c:1470 (v3.7)`. Null if it has no version of the tree. */
export function kernelAddress(citation) {
  const found = /^(\S+):(\d+) \((v[\d.]+)\)/.exec(citation ?? "");
  return found && `https://elixir.bootlin.com/linux/${found[3]}/source/${found[1]}#L${found[2]}`;
}
