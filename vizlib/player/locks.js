// The locks in lock order, each at its place for the whole film: who holds it, who waits for it.

import { html, keepInView, paintNow, setAttribute, svg } from "./dom.js";

const MOST_TALL = 6; // more locks than this get one line each

export class Locks {
  /** @param {import("./film.js").Timeline} timeline */
  constructor(timeline) {
    const { film } = timeline;
    this.tasks = new Map(film.tasks.map((task) => [task.id, task]));
    const seen = new Map(timeline.locks);
    for (const patches of timeline.patches) {
      for (const { map, id, after } of patches) if (map === timeline.locks && after && !seen.has(id)) seen.set(id, after);
    }
    const order = [...seen].sort(([, a], [, b]) => a.rank - b.rank);
    const tall = order.length <= MOST_TALL;
    this.rows = new Map(order.map(([id, lock]) => [id, new Row(id, lock, this.tasks, tall ? 3 : 1)]));
    this.list = html("ul", { class: "rmw-locklist", "data-tall": String(tall) },
      ...[...this.rows.values()].map((row) => row.el));
    this.el = html("section", { class: "rmw-locks", "aria-label": "Locks" },
      html("h3", {}, "Locks ", html("small", {}, "outer to inner")), this.list);
  }

  /** @param {import("./film.js").Timeline} timeline @param {Set<string>} changed @param {string} by the colour of who changed it @param {boolean} follow scroll to it */
  show(timeline, changed, by, follow) {
    for (const [id, row] of this.rows) {
      row.show(timeline.locks.get(id), changed.has(id));
      if (changed.has(id)) paintNow(row.el, by);
      if (follow && changed.has(id)) keepInView(row.el);
    }
  }
}

/** A task's name in its colour; where there is no room for it, its number stays. */
export function chip(task, id, more = "") {
  const [, name, number] = /^(.*?)(-?\d*)$/.exec(id) ?? ["", id, ""];
  return html("span", { class: `rmw-chip ${more}`, title: task?.title ?? null, style: `--task: var(--rw-${task?.colour ?? "muted"})` }, html("span", {}, name), number);
}

class Row {
  /** @param {string} id @param {any} lock @param {Map<string, any>} tasks @param {number} most how many tasks' names have room */
  constructor(id, lock, tasks, most) {
    this.tasks = tasks;
    this.most = most;
    this.who = html("div", { class: "rmw-who" });
    const [kind] = lock.kind.split(" · ");
    this.icon = html("span", { class: "rmw-padlock", "aria-hidden": "true" }, padlock());
    this.el = html("li", { class: "rmw-lock", "data-lock": id }, this.icon,
      html("b", { title: lock.title }, ...nameParts(lock.title)), this.who, html("small", { title: lock.kind }, kind));
    this.lock = undefined;
  }

  show(lock, changed) {
    setAttribute(this.el, "data-changed", changed);
    if (lock === this.lock && this.who.childNodes.length > 0) return;
    this.lock = lock;
    setAttribute(this.el, "data-held", String((lock?.holders.length ?? 0) > 0));
    setAttribute(this.el, "data-absent", lock === undefined);
    this.who.replaceChildren(...this.#words(lock));
  }

  #words(lock) {
    if (!lock) return [html("span", {}, "not there")];
    if (lock.holders.length + lock.waiters.length === 0) return [html("span", {}, lock.note || "free")];
    const out = [];
    for (const mode of new Set(lock.holders.map((it) => it.mode))) {
      const holders = lock.holders.filter((it) => it.mode === mode);
      out.push(html("span", { class: mode ? null : "rmw-holds" }, mode ? (mode === "read" ? "read by " : "written by ") : "held by "), ...this.#chips(holders, "", holders[0].mode));
    }
    if (lock.waiters.length > 0) out.push(html("span", { class: "rmw-holds" }, "waiting "), ...this.#chips(lock.waiters, "rmw-waits", lock.holders[0]?.mode));
    return out;
  }

  #chips(holds, more, mode) {
    const room = holds.length > this.most ? Math.max(1, this.most - 1) : this.most;
    const out = holds.slice(0, room).map((it) => {
      const one = chip(this.tasks.get(it.task), it.task, more);
      if (more && it.mode && it.mode !== mode) one.append(html("small", {}, ` ${it.mode}`));
      return one;
    });
    const others = holds.slice(room).map((it) => it.task);
    if (others.length > 0) out.push(html("span", { title: others.join(", ") }, `+${others.length}`));
    return out;
  }
}

/** A lock's name in two: where there is no room for both, what kind it is gives way to whose it is. */
function nameParts(title) {
  const at = title.lastIndexOf(" of ") + 1;
  return at > 0 ? [html("span", {}, title.slice(0, at)), html("span", {}, title.slice(at))] : [html("span", {}, title)];
}

function padlock() {
  return svg("svg", { viewBox: "0 0 16 18", width: 16, height: 18 },
    svg("path", { class: "rmw-shackle", d: "M4.2 8V5.4a3.8 3.8 0 0 1 7.6 0V8" }),
    svg("rect", { class: "rmw-body", x: 1.5, y: 8, width: 13, height: 9.5, rx: 2 }));
}
