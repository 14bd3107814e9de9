// One mark on the stage: its SVG elements, and its way from where it is to where it belongs.

import { setAttribute, setText, svg } from "./dom.js";
import { along, drawShape, drawText, lerp, paintShape, round, sizeShape, writeText } from "./glyphs.js";

/**
 * @typedef {import("./film.js").Mark} Mark
 * @typedef {{x: number, y: number, w: number, h: number, o: number}} Place corner in the plane, size, opacity
 */

const STILL = 0.5; // pixels: less is no motion
const LIFT = 56; // how high a token flies at most

/** Whether one mark can take the other's elements: nothing but words, colours and outline differs. @param {Mark} a @param {Mark} b */
function alike(a, b) {
  const same = ["shape", "w", "h", "radius"].every((key) => a[key] === b[key]);
  return same && a.shape !== "arrow" && a.text.length === b.text.length && Boolean(a.tip) === Boolean(b.tip);
}

export class Actor {
  /** @param {string} id */
  constructor(id) {
    this.id = id;
    this.g = svg("g", { class: "rmw-mark", "data-mark": id });
    /** @type {Mark} */
    this.mark = /** @type {any} */ (null);
    /** @type {Place} */
    this.place = { x: 0, y: 0, w: 0, h: 0, o: 0 };
    this.from = this.place;
    this.to = this.place;
    this.leaving = false;
    this.travels = false;
    /** The mark whose face is still hidden while the card turns. @type {{mark: Mark, points: number[][]} | null} */
    this.hidden = null;
    this.turns = false;
    /** A dot that runs along a new arrow. @type {any} */
    this.runner = null;
    this.opacity = 1;
  }

  /** Draw a mark's inside. @param {Mark} mark @param {number[][]} points an arrow's, from the mark's corner */
  redraw(mark, points) {
    if (this.mark && alike(this.mark, mark)) {
      paintShape(this.shape, mark);
      mark.text.forEach((line, at) => writeText(this.lines[at], line, mark.x, mark.y));
      if (mark.tip) setText(this.g.firstChild, mark.tip);
    } else this.#make(mark, points);
    this.mark = mark;
    for (const name of ["panel", "face", "shape", "say"]) setAttribute(this.g, `data-${name}`, mark[name] || null);
  }

  /** Make the elements of a mark. */
  #make(mark, points) {
    this.points = points;
    this.shape = drawShape(mark, points);
    const boxed = mark.shape !== "arrow" && mark.shape !== "text";
    const ring = { class: "rmw-ring", x: -3, y: -3, width: mark.w + 6, height: mark.h + 6, rx: Math.min(mark.radius, 9) + 2 };
    this.lines = drawText(mark, points);
    this.g.replaceChildren(
      ...(mark.tip ? [svg("title", {}, mark.tip)] : []), ...(boxed ? [svg("rect", ring)] : []), this.shape,
      ...this.lines,
    );
  }

  /** Set out for a place.  Returns whether there is anything to do on the way. @param {Place} to */
  aim(to) {
    const { place } = this;
    const distance = Math.hypot(place.x - to.x, place.y - to.y);
    this.from = place;
    this.to = to;
    this.travels = distance > STILL;
    return this.travels || this.turns || this.leaving || place.w !== to.w || place.h !== to.h || place.o !== to.o;
  }

  /** Be where one is after a share of the way. @param {number} t 0 to 1 @param {number} eased the same, softened */
  move(t, eased) {
    const { from, to } = this;
    const place = {
      x: lerp(from.x, to.x, eased), y: lerp(from.y, to.y, eased), w: lerp(from.w, to.w, eased),
      h: lerp(from.h, to.h, eased), o: lerp(from.o, to.o, eased),
    };
    let [wide, high] = [1, 1];
    if (this.turns) {
      if (t >= 0.5) this.#reveal();
      wide = Math.max(0.02, Math.abs(1 - 2 * t));
    }
    if (this.travels && this.mark.shape === "token") {
      const lift = Math.sin(Math.PI * eased);
      place.y -= lift * Math.min(LIFT, Math.hypot(to.x - from.x, to.y - from.y) * 0.2);
      wide = high = 1 + 0.25 * lift;
    }
    if (place.w !== this.place.w || place.h !== this.place.h) sizeShape(this.shape, this.mark, place.w, place.h);
    this.#put(place, wide, high);
    if (this.runner) {
      const [x, y] = along(this.points, eased);
      setAttribute(this.runner, "transform", `translate(${round(place.x + x)} ${round(place.y + y)})`);
    }
  }

  /** Be there. */
  arrive() {
    this.#reveal();
    this.turns = false;
    this.travels = false;
    this.runner?.remove();
    this.runner = null;
    if (this.place.w !== this.to.w || this.place.h !== this.to.h) sizeShape(this.shape, this.mark, this.to.w, this.to.h);
    this.#put(this.to, 1, 1);
    setAttribute(this.g, "data-x", round(this.to.x));
    setAttribute(this.g, "data-y", round(this.to.y));
  }

  #reveal() {
    if (!this.hidden) return;
    this.redraw(this.hidden.mark, this.hidden.points);
    this.hidden = null;
  }

  #put(place, wide, high) {
    this.place = place;
    const x = place.x + (place.w * (1 - wide)) / 2;
    const y = place.y + (place.h * (1 - high)) / 2;
    const scale = wide === 1 && high === 1 ? "" : ` scale(${round(wide)} ${round(high)})`;
    this.g.setAttribute("transform", `translate(${round(x)} ${round(y)})${scale}`);
    if (this.opacity === place.o) return;
    this.opacity = place.o;
    setAttribute(this.g, "opacity", place.o === 1 ? null : round(place.o));
  }
}
