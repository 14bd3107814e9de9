// A run under the clock, as lanes on a canvas: far away shares of the time, near by every interval.

import { surroundingMode, watchMode } from "./appearance.js";
import { html, setAttribute, setText } from "./dom.js";
import { FilmError } from "./film.js";

const ROW = 22;
const AXIS = 22;
const FINEST = 1 << 16; // buckets of the finest level; each level above has half as many
const SHADES = 12;
const NEAR = 3; // intervals a pixel, at most, that are drawn one by one
const KINDS = { hold: [3, 16], wait: [6, 10], copy: [3, 16], flush: [0, 5], interrupt: [17, 5] }; // top and height in the row
const MOMENTS = ["flush", "interrupt"];

/** Intervals in order of their starts, and how much of each bucket they cover. */
export class Track {
  /** @param {number[][]} columns starts as differences, lengths, labels @param {number} end */
  constructor([steps, lengths, labels], end) {
    let at = 0;
    this.from = Float64Array.from(steps, (step) => (at += step));
    this.to = Float64Array.from(lengths, (length, i) => this.from[i] + length);
    this.labels = labels;
    this.end = end;
    // An interval may end after later ones: to look backwards, know the latest end so far.
    let latest = 0;
    this.latest = this.to.map((to) => (latest = Math.max(latest, to)));
    this.levels = [this.#finest()];
    while (this.levels[0].length > 256) this.levels.unshift(halved(this.levels[0]));
  }

  #finest() {
    const shares = new Float32Array(FINEST);
    const width = this.end / FINEST || 1;
    for (let i = 0; i < this.from.length; i += 1) {
      const [from, to] = [this.from[i] / width, Math.max(this.to[i], this.from[i] + width * 0.01) / width];
      for (let b = Math.floor(from); b < Math.min(FINEST, to); b += 1) shares[b] = Math.min(1, shares[b] + Math.min(to, b + 1) - Math.max(from, b));
    }
    return shares;
  }

  /** The first interval that may still last at a time. */
  first(time) {
    let [low, high] = [0, this.latest.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.latest[middle] < time) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** The first interval that begins after a time. */
  after(time) {
    let [low, high] = [0, this.from.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.from[middle] <= time) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** The shares of a stretch in so many pieces. @returns {Float32Array} */
  shares(from, to, pieces) {
    const wanted = (pieces * this.end) / (to - from);
    const level = this.levels.find((it) => it.length >= wanted) ?? this.levels[this.levels.length - 1];
    const out = new Float32Array(pieces);
    const width = this.end / level.length;
    for (let i = 0; i < pieces; i += 1) {
      const [a, b] = [from + ((to - from) * i) / pieces, from + ((to - from) * (i + 1)) / pieces].map((it) => it / width);
      let sum = 0;
      for (let k = Math.floor(a); k < b; k += 1) sum += (level[k] ?? 0) * (Math.min(b, k + 1) - Math.max(a, k));
      out[i] = sum / (b - a);
    }
    return out;
  }
}

function halved(shares) {
  return Float32Array.from({ length: shares.length / 2 }, (_, i) => (shares[2 * i] + shares[2 * i + 1]) / 2);
}

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
    this.canvas = html("canvas", { class: "rmw-canvas", tabindex: "0", role: "img", "aria-label": `${data.start.sentence} The table below says the same in numbers.` });
    this.told = html("p", { class: "rmw-told", role: "status" });
    const button = (label, act) => html("button", { type: "button", class: "rmw-stop", onclick: act }, label);
    const rows = this.lanes.map((lane) => html("tr", {}, html("th", { scope: "row" }, lane.task), ...["wait", "hold"].map((kind) => html("td", {}, `${(100 * this.#share(lane, kind)).toFixed(1)} %`)),
      ...MOMENTS.map((kind) => html("td", {}, (lane[kind]?.[0].length ?? 0).toLocaleString("en")))));
    this.el = html("div", { class: "rmapwalk rmw rmw-timeline", role: "group", "aria-label": `Lanes: ${data.title}`, "data-step": "0", "data-moving": "false" },
      html("div", { class: "rmw-head" }, html("div", {}, html(options.heading ?? "h2", {}, data.title), html("p", {}, `world ${data.world} · variant ${data.variant} · ${data.start.sentence}`)),
        html("div", { class: "rmw-tools" }, button("closer +", () => this.zoom(0.5)), button("farther −", () => this.zoom(2)), button("whole run", () => this.show(0, this.end)))),
      html("div", { class: "rmw-timebox" }, html("ul", { "aria-hidden": "true" }, ...this.lanes.map((lane) => html("li", { style: `--task: var(--rw-${lane.colour})` }, lane.task))), this.canvas), this.told,
      html("p", { class: "rmw-none" }, "Solid: holds a lock. Hollow: waits. Marks above: flushes; below: interrupts taken. Arrows, near by: who woke whom. Wheel or + and − zoom, dragging or ← and → move."),
      html("details", {}, html("summary", {}, "in numbers"), html("table", { class: "rmw-numbers" }, html("thead", {}, html("tr", {}, ...["thread", "waits", "holds a lock", "flushes", "interrupts"].map((it) => html("th", { scope: "col" }, it)))), html("tbody", {}, ...rows))));
    this.canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.zoom(event.deltaY > 0 ? 1.25 : 0.8, this.#time(event));
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
      const act = { "+": () => this.zoom(0.5), "=": () => this.zoom(0.5), "-": () => this.zoom(2), ArrowRight: () => this.move(span / 4), ArrowLeft: () => this.move(-span / 4), Home: () => this.show(0, this.end), End: () => this.show(this.end - span, this.end) }[event.key];
      if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
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
      for (let i = track.first(time); i < track.after(time); i += 1) if (track.to[i] >= time) out.push(`${{ hold: "holds", wait: "waits for", copy: "" }[kind]} ${this.data.labels[track.labels[i]]}`.trim());
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
    setAttribute(this.el, "data-near", String(every));
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
      pen.fillText(timeWords(time, step), Math.min(x + 3, width - 80), 11);
    }
  }

  /** One kind of one lane.  Returns whether every interval was drawn by itself. */
  #track(pen, kind, track, colour, y, width) {
    const [top, high] = KINDS[kind];
    const ink = { hold: this.colours[colour], wait: this.colours.card, copy: this.colours["page-edge"], flush: this.colours.ink, interrupt: this.colours.bad }[kind];
    const [first, last] = [track.first(this.from), track.after(this.to)];
    const scale = width / (this.to - this.from);
    pen.fillStyle = ink;
    if (last - first <= NEAR * width) {
      let drawn = 0;
      for (let i = first; i < last; i += 1) {
        if (track.to[i] < this.from) continue;
        drawn += 1;
        const x = Math.max(-2, (track.from[i] - this.from) * scale);
        const w = MOMENTS.includes(kind) ? 1.5 : Math.max(0.75, Math.min(width + 2, (track.to[i] - this.from) * scale) - x);
        pen.fillRect(x, y + top, w, high);
        if (kind === "wait") this.#hollow(pen, colour, x, y + top, w, high);
        this.#label(pen, kind, track, i, x, y, w);
      }
      return drawn < width / 4;
    }
    const shares = track.shares(this.from, this.to, Math.round(width));
    let start = 0;
    for (let i = 1; i <= shares.length; i += 1) {
      const shade = Math.ceil(shares[start] * SHADES);
      if (i < shares.length && Math.ceil(shares[i] * SHADES) === shade) continue;
      if (shade > 0) {
        pen.globalAlpha = shade / SHADES;
        pen.fillRect(start, y + top, i - start, high);
        pen.globalAlpha = 1;
        if (kind === "wait" && shade > SHADES / 2) this.#hollow(pen, colour, start, y + top, i - start, high);
      }
      start = i;
    }
    return false;
  }

  #hollow(pen, colour, x, y, w, h) {
    pen.strokeStyle = this.colours[colour];
    pen.setLineDash([4, 3]);
    pen.strokeRect(x + 0.5, y + 0.5, Math.max(0.5, w - 1), h - 1);
    pen.setLineDash([]);
  }

  #label(pen, kind, track, i, x, y, w) {
    if (w < 90 || MOMENTS.includes(kind)) return;
    const before = pen.fillStyle;
    pen.fillStyle = kind === "wait" ? this.colours.ink : this.colours.card;
    pen.fillText(`${kind === "wait" ? "waits: " : ""}${this.data.labels[track.labels[i]]}`.slice(0, Math.floor(w / 6.5)), Math.max(x, 0) + 5, y + 15);
    pen.fillStyle = before;
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
