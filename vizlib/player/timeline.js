// A run under the clock, as lanes on a canvas: far away shares of the time, near by every interval.

import { surroundingMode, watchMode } from "./appearance.js";
import { html, setAttribute, setText } from "./dom.js";
import { FilmError } from "./film.js";
import { shortened } from "./lanes.js";
import { beginningBy, neighbour, placeOf, Track } from "./track.js";

const ROW = 22;
const AXIS = 22;
const SHADES = 12;
const NEAR = 0.3; // intervals a pixel, at most, that are drawn one by one
const KINDS = { wait: [6, 10], hold: [3, 16], copy: [3, 16], flush: [0, 5], interrupt: [17, 5] }; // top and height in the row
const MOMENTS = ["flush", "interrupt"];

/** Running sums. */
function sums(differences) {
  let at = 0;
  return differences.map((it) => (at += it));
}

/** A time of an axis in the unit that its steps ask for. @param {number} time ns @param {number} step ns */
export function timeWords(time, step) {
  const [unit, name] = step >= 1e6 ? [1e6, "ms"] : step >= 1e3 ? [1e3, "µs"] : [1, "ns"];
  return `${(time / unit).toLocaleString("en")} ${name}`;
}

/** What a thread does in an interval, in words. @param {string} kind @param {string} label */
function did(kind, label) {
  const what = /lock of /.test(label) ? `the ${label}` : label;
  return { hold: `holds ${what}`, wait: `waits for ${what}` }[kind] ?? label;
}

export class TimeLanes {
  /** @param {HTMLElement} host @param {any} data @param {import("./view.js").Options} options */
  constructor(host, data, options) {
    if (data.version !== 1) throw new FilmError(`this timeline has version ${data.version}; this player draws version 1`);
    this.data = data;
    this.end = Math.max(1, data.end);
    this.lanes = data.lanes.map((lane) => ({ ...lane, tracks: Object.keys(KINDS).filter((kind) => lane[kind]).map((kind) => ({ kind, track: new Track(lane[kind], this.end) })) }));
    this.wakes = data.wakes.length > 0 ? data.wakes.map(sums) : [[], [], [], []]; // released, woken, from, to
    this.from = 0;
    this.to = this.end;
    this.asked = 0;
    /** Which thread, and which of its intervals, the keys have come to. */
    this.row = 0;
    /** @type {import("./track.js").Spot | null} */
    this.chosen = null;
    this.mode = options.theme === "light" || options.theme === "dark" ? options.theme : null;
    this.#build(options);
    host.replaceChildren(this.el);
    this.stopWatching = watchMode(() => this.#recolour());
    this.sizes = new ResizeObserver(() => this.#ask());
    this.sizes.observe(this.el);
    this.#recolour();
  }

  #build(options) {
    const { data } = this;
    this.canvas = html("canvas", { class: "rmw-canvas", tabindex: "0", role: "application", "aria-label": `${data.start.sentence} Left and right go from interval to interval, up and down from thread to thread; each is read out. The table below says the same in numbers.` });
    this.names = this.lanes.map((lane) => html("li", { style: `--task: var(--rw-${lane.colour})` }, lane.task));
    this.told = html("p", { class: "rmw-told", role: "status" });
    const button = (label, act) => html("button", { type: "button", class: "rmw-stop", onclick: act }, label);
    const rows = this.lanes.map((lane) => html("tr", {}, html("th", { scope: "row" }, lane.task), ...["wait", "hold"].map((kind) => html("td", {}, `${(100 * this.#share(lane, kind)).toFixed(1)} %`)),
      ...MOMENTS.map((kind) => html("td", {}, (lane[kind]?.[0].length ?? 0).toLocaleString("en")))));
    this.el = html("div", { class: "rmapwalk rmw rmw-timeline", role: "group", "aria-label": `Lanes: ${data.title}`, "data-step": "0", "data-moving": "false" },
      html("div", { class: "rmw-head" }, html("div", {}, html(options.heading ?? "h2", {}, data.title), html("p", {}, `world ${data.world} · variant ${data.variant} · ${data.start.sentence}`)),
        html("div", { class: "rmw-tools" }, button("closer +", () => this.zoom(0.5)), button("farther −", () => this.zoom(2)), button("whole run", () => this.show(0, this.end)))),
      html("div", { class: "rmw-timebox" }, html("ul", { "aria-hidden": "true" }, ...this.names), this.canvas), this.told,
      html("p", { class: "rmw-none" }, "Solid: holds a lock. Hollow: waits. Marks above: flushes; below: interrupts taken. Arrows, near by: who woke whom."),
      html("p", { class: "rmw-none" }, "← and → go from interval to interval, ↑ and ↓ from thread to thread, enter comes close. + and −, or Ctrl (⌘) with the wheel, zoom; dragging, or Shift with ← and →, moves."),
      html("details", {}, html("summary", {}, "in numbers"), html("table", { class: "rmw-numbers" }, html("thead", {}, html("tr", {}, ...["thread", "waits", "holds a lock", "flushes", "interrupts"].map((it) => html("th", { scope: "col" }, it)))), html("tbody", {}, ...rows))));
    this.canvas.addEventListener("wheel", (event) => {
      if (!event.ctrlKey && !event.metaKey) return; // it scrolls the page; two fingers on a touchpad say ctrlKey
      event.preventDefault();
      const turn = event.deltaY * (event.deltaMode === WheelEvent.DOM_DELTA_PIXEL ? 1 : 33);
      this.zoom(Math.exp(Math.max(-200, Math.min(200, turn)) / 450), this.#time(event));
    }, { passive: false });
    this.canvas.addEventListener("pointerdown", (event) => {
      this.canvas.setPointerCapture(event.pointerId);
      this.grabbed = event.clientX;
    });
    this.canvas.addEventListener("pointermove", (event) => this.#point(event));
    this.canvas.addEventListener("pointerup", () => { this.grabbed = undefined; });
    this.keyTarget = options.wholePage ? document : this.canvas;
    this.onKey = (event) => {
      const span = this.to - this.from;
      const along = (by) => (event.shiftKey ? this.move((by * span) / 4) : this.step(by));
      const act = { "+": () => this.zoom(0.5), "=": () => this.zoom(0.5), "-": () => this.zoom(2), ArrowRight: () => along(1), ArrowLeft: () => along(-1), ArrowDown: () => this.thread(1), ArrowUp: () => this.thread(-1),
        ...(this.chosen ? { Enter: () => this.approach(), Escape: () => this.#choose(null) } : {}), Home: () => this.show(0, this.end), End: () => this.show(this.end - span, this.end) }[event.key];
      if (!act || event.ctrlKey || event.metaKey || event.altKey || (event.key === "Enter" && event.target.closest("button, summary"))) return;
      event.preventDefault();
      event.stopPropagation();
      act();
    };
    this.keyTarget.addEventListener("keydown", /** @type {any} */ (this.onKey));
  }

  #share(lane, kind) {
    const track = lane.tracks.find((it) => it.kind === kind)?.track;
    return track ? track.levels[0].reduce((sum, it) => sum + it, 0) / track.levels[0].length : 0;
  }

  /** Show a stretch of time. */
  show(from, to) {
    const span = Math.max(20, Math.min(this.end, to - from));
    this.from = Math.max(0, Math.min(this.end - span, from));
    this.to = this.from + span;
    this.#ask();
  }

  move(by) {
    this.show(this.from + by, this.to + by);
  }

  /** Closer or farther, with one time standing still. */
  zoom(factor, still = (this.from + this.to) / 2) {
    const span = Math.max(20, Math.min(this.end, (this.to - this.from) * factor));
    const at = (still - this.from) / (this.to - this.from);
    this.show(still - at * span, still - at * span + span);
  }

  /** Choose the next interval of the chosen thread, or the one before. @param {number} by 1 or -1 */
  step(by) {
    const tracks = this.#tracks;
    this.#choose(this.chosen ? neighbour(tracks, this.chosen, by) ?? this.chosen : beginningBy(tracks, by > 0 ? this.from : this.to));
  }

  /** Choose what the next thread does at the same time, or the one before. @param {number} by 1 or -1 */
  thread(by) {
    const time = this.#interval?.from ?? this.from;
    if (this.chosen || this.row > 0) this.row = (this.row + by + this.lanes.length) % this.lanes.length;
    this.#choose(beginningBy(this.#tracks, time));
  }

  /** So close that the chosen interval is a third of what is seen. */
  approach() {
    if (!this.#interval) return;
    const { from, to } = this.#interval;
    const around = Math.max(to - from, 60);
    this.show((from + to) / 2 - 1.5 * around, (from + to) / 2 + 1.5 * around);
  }

  get #tracks() {
    return this.lanes[this.row].tracks.map((it) => it.track);
  }

  /** The chosen interval. */
  get #interval() {
    if (!this.chosen) return null;
    const { kind, track } = this.lanes[this.row].tracks[this.chosen.track];
    const { i } = this.chosen;
    return { kind, from: track.from[i], to: track.to[i], label: this.data.labels[track.labels[i]] };
  }

  #choose(spot) {
    this.chosen = spot;
    if (spot) this.names[this.row].scrollIntoView({ block: "nearest" });
    const it = this.#interval;
    const span = this.to - this.from;
    if (it && (it.from < this.from || it.from > this.to)) this.show(it.from - span / 4, it.from + (3 * span) / 4);
    setText(this.told, it ? this.#sentence(it) : "");
    this.#ask();
  }

  #sentence({ kind, from, to, label }) {
    const { task } = this.lanes[this.row];
    const [place, all] = placeOf(this.#tracks, /** @type {any} */ (this.chosen)).map((it) => it.toLocaleString("en"));
    const [start, end, long] = [from, to, to - from].map((it) => it.toLocaleString("en"));
    const by = this.wakes[1].findIndex((woken, i) => woken === to && this.wakes[3][i] === this.row);
    const waker = kind === "wait" && by >= 0 ? `, woken by ${this.lanes[this.wakes[2][by]].task}` : "";
    const when = MOMENTS.includes(kind) || kind === "copy" ? `at ${start} ns` : `from ${start} to ${end} ns, ${long} ns long${waker}`;
    return `${task} ${did(kind, label)} ${when} (${place} of ${all}).`;
  }

  destroy() {
    cancelAnimationFrame(this.asked);
    this.stopWatching?.();
    this.sizes?.disconnect();
    this.keyTarget?.removeEventListener("keydown", /** @type {any} */ (this.onKey));
    this.el.remove();
  }

  #time(event) {
    const { left, width } = this.canvas.getBoundingClientRect();
    return this.from + ((event.clientX - left) / width) * (this.to - this.from);
  }

  #point(event) {
    if (this.grabbed !== undefined && event.buttons & 1) {
      this.move(((this.grabbed - event.clientX) / this.canvas.clientWidth) * (this.to - this.from));
      this.grabbed = event.clientX;
    }
    const time = this.#time(event);
    const lane = this.lanes[Math.floor((event.offsetY - AXIS) / ROW)];
    setText(this.told, lane ? `${Math.round(time).toLocaleString("en")} ns: ${lane.task} ${this.#what(lane, time)}` : "");
  }

  /** What a thread does at a time. */
  #what(lane, time) {
    const out = [];
    for (const { kind, track } of lane.tracks) {
      if (MOMENTS.includes(kind)) continue;
      for (let i = track.first(time); i < track.after(time); i += 1) if (track.to[i] >= time) out.push(did(kind, this.data.labels[track.labels[i]]));
    }
    return out.join(", ") || "runs";
  }

  #recolour() {
    setAttribute(this.el, "data-theme", this.mode ?? surroundingMode());
    const style = getComputedStyle(this.el);
    const colour = (name) => style.getPropertyValue(`--rw-${name}`).trim();
    this.colours = Object.fromEntries([...new Set(this.lanes.map((lane) => lane.colour)), "well", "ink", "muted", "card", "bad", "page-edge"].map((name) => [name, colour(name)]));
    this.#ask();
  }

  #ask() {
    if (!this.asked) this.asked = requestAnimationFrame(() => this.draw());
  }

  /** Draw what is to be seen now; returns how long it took, in milliseconds. */
  draw() {
    this.asked = 0;
    const began = performance.now();
    const { canvas } = this;
    const width = canvas.clientWidth || 600;
    const height = AXIS + this.lanes.length * ROW + 6;
    const dots = Math.min(2, devicePixelRatio || 1);
    if (canvas.width !== Math.round(width * dots) || canvas.height !== Math.round(height * dots)) {
      canvas.width = Math.round(width * dots);
      canvas.height = Math.round(height * dots);
      canvas.style.height = `${height}px`;
    }
    const pen = canvas.getContext("2d");
    pen.setTransform(dots, 0, 0, dots, 0, 0);
    pen.clearRect(0, 0, width, height);
    this.#axis(pen, width, height);
    let every = true;
    this.lanes.forEach((lane, row) => {
      const y = AXIS + row * ROW;
      pen.fillStyle = this.colours.well;
      pen.fillRect(0, y + 3, width, ROW - 6);
      for (const { kind, track } of lane.tracks) every = this.#track(pen, kind, track, lane.colour, y, width) && every;
    });
    if (every) this.#wakes(pen, width);
    this.#ring(pen, width);
    setAttribute(this.el, "data-near", String(every));
    setAttribute(this.el, "data-shown", `${Math.round(this.from)} ${Math.round(this.to)}`);
    this.took = performance.now() - began;
    return this.took;
  }

  #axis(pen, width, height) {
    const span = this.to - this.from;
    const rough = span / Math.max(2, width / 130);
    const unit = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((it) => it * unit).find((it) => it >= rough) ?? rough;
    pen.font = "11px DejaVu Sans, system-ui, sans-serif";
    pen.fillStyle = this.colours.muted;
    for (let time = Math.ceil(this.from / step) * step; time <= this.to; time += step) {
      const x = ((time - this.from) / span) * width;
      pen.fillRect(x, 14, 1, height - 14);
      if (x < width - 75) pen.fillText(timeWords(time, step), x + 3, 11);
    }
  }

  /** One kind of one lane.  Returns whether every interval was drawn by itself. */
  #track(pen, kind, track, colour, y, width) {
    const [top, high] = KINDS[kind];
    const [first, last] = [track.first(this.from), track.after(this.to)];
    pen.fillStyle = { hold: this.colours[colour], wait: this.colours[colour], copy: this.colours["page-edge"], flush: this.colours.ink, interrupt: this.colours.bad }[kind];
    if (last - first > NEAR * width) {
      this.#shares(pen, track.shares(this.from, this.to, Math.round(width)), y + top, high, kind === "wait");
      return false;
    }
    const scale = width / (this.to - this.from);
    const seen = [];
    for (let i = first; i < last; i += 1) {
      if (track.to[i] < this.from) continue;
      const x = Math.max(-2, (track.from[i] - this.from) * scale);
      const w = MOMENTS.includes(kind) ? 1.5 : Math.max(0.75, Math.min(width + 2, (track.to[i] - this.from) * scale) - x);
      if (kind !== "wait") pen.fillRect(x, y + top, w, high);
      seen.push([i, x, w]);
    }
    if (kind === "wait") this.#hollow(pen, this.colours[colour], seen, y + top, high);
    if (!MOMENTS.includes(kind)) this.#labels(pen, kind, track, seen, y);
    return seen.length < width / 4;
  }

  /** How much of each pixel is covered, as a shade; if it is hollow, no more than the upper and the lower edge of that. */
  #shares(pen, shares, y, high, hollow) {
    let start = 0;
    for (let i = 1; i <= shares.length; i += 1) {
      const shade = Math.ceil(shares[start] * SHADES);
      if (i < shares.length && Math.ceil(shares[i] * SHADES) === shade) continue;
      pen.globalAlpha = shade / SHADES;
      if (shade > 0) for (const at of hollow ? [y, y + high - 1] : [y]) pen.fillRect(start, at, i - start, hollow ? 1 : high);
      start = i;
    }
    pen.globalAlpha = 1;
  }

  /** Around the chosen interval, as wide as can be seen. */
  #ring(pen, width) {
    this.names.forEach((name, row) => setAttribute(name, "data-chosen", this.chosen !== null && row === this.row));
    const it = this.#interval;
    if (!it) return;
    const scale = width / (this.to - this.from);
    const [x, end] = [it.from, it.to].map((time) => Math.max(-9, Math.min(width + 9, (time - this.from) * scale)));
    pen.strokeStyle = this.colours.ink;
    pen.lineWidth = 2;
    pen.strokeRect(x - 3, AXIS + this.row * ROW, end - x + 6, ROW);
    pen.lineWidth = 1;
  }

  /** Outlines; narrow ones have no sides, or those would be all that is seen. */
  #hollow(pen, ink, seen, y, h) {
    for (const [, x, w] of seen) if (w <= 12) for (const edge of [y, y + h - 1]) pen.fillRect(x, edge, w, 1);
    const wide = seen.filter(([, , w]) => w > 12);
    pen.fillStyle = this.colours.card;
    for (const [, x, w] of wide) pen.fillRect(x, y, w, h);
    pen.strokeStyle = ink;
    pen.setLineDash([4, 3]);
    for (const [, x, w] of wide) pen.strokeRect(x + 0.5, y + 0.5, w - 1, h - 1);
    pen.setLineDash([]);
  }

  #labels(pen, kind, track, seen, y) {
    pen.fillStyle = kind === "wait" ? this.colours.ink : this.colours.card;
    for (const [i, x, w] of seen) {
      const left = Math.max(x, 0) + 5;
      if (w >= 90) pen.fillText(shortened(`${kind === "wait" ? "waits: " : ""}${this.data.labels[track.labels[i]]}`, Math.floor((x + w - left) / 6.5)), left, y + 15);
    }
  }

  #wakes(pen, width) {
    const [released, woken, from, to] = this.wakes;
    const scale = width / (this.to - this.from);
    pen.strokeStyle = this.colours.ink;
    pen.fillStyle = this.colours.ink;
    for (let i = 0; i < released.length; i += 1) {
      if (woken[i] < this.from || released[i] > this.to) continue;
      const [a, b] = [from[i], to[i]];
      const [x1, x2] = [(released[i] - this.from) * scale, (woken[i] - this.from) * scale];
      const [y1, y2] = [AXIS + a * ROW + ROW / 2, AXIS + b * ROW + ROW / 2];
      pen.beginPath();
      pen.moveTo(x1, y1);
      pen.lineTo(x2, y2);
      pen.stroke();
      pen.beginPath();
      pen.arc(x2, y2, 3, 0, 7);
      pen.fill();
    }
  }
}
