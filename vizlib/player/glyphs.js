// How each shape of a mark is drawn.  One function a shape; places are the mark's own, its top left corner at 0, 0.

import { colour, setAttribute, setText, svg } from "./dom.js";

/** @typedef {import("./film.js").Mark} Mark */

/** Draw a mark's shape anew. @param {Mark} mark @param {number[][]} points an arrow's, from the mark's corner */
export function drawShape(mark, points) {
  if (mark.shape === "text") return svg("g");
  const shape = mark.shape === "arrow" ? drawArrow(mark, points) : svg(TAGS[mark.shape] ?? "rect");
  shape.classList.add("rmw-shape");
  if (mark.shape === "arrow") return shape;
  paintShape(shape, mark);
  sizeShape(shape, mark, mark.w, mark.h);
  return shape;
}

/** Give a shape that is no arrow the colours and the outline of its mark. */
export function paintShape(shape, mark) {
  shape.style.fill = colour(mark.fill);
  shape.style.stroke = colour(mark.stroke);
  paintOutline(shape, mark);
}

const TAGS = { ellipse: "ellipse", dot: "ellipse", diamond: "path", lock: "path" };

/** Give a shape its size, which may be one on the way from an old to a new. */
export function sizeShape(shape, mark, w, h) {
  if (mark.shape === "ellipse" || mark.shape === "dot") {
    setAttribute(shape, "cx", w / 2);
    setAttribute(shape, "cy", h / 2);
    setAttribute(shape, "rx", w / 2);
    setAttribute(shape, "ry", h / 2);
  } else if (mark.shape === "diamond") {
    setAttribute(shape, "d", `M${w / 2} 0L${w} ${h / 2}L${w / 2} ${h}L0 ${h / 2}Z`);
  } else if (mark.shape === "lock") {
    const [a, b, top] = [w * 0.25, w * 0.75, h * 0.45];
    setAttribute(shape, "d", `M0 ${top}H${w}V${h}H0ZM${a} ${top}V${h * 0.3}A${w / 4} ${h * 0.3} 0 0 1 ${b} ${h * 0.3}V${top}`);
  } else if (mark.shape !== "arrow" && mark.shape !== "text") {
    setAttribute(shape, "width", w);
    setAttribute(shape, "height", h);
    setAttribute(shape, "rx", Math.min(mark.shape === "pill" ? h / 2 : mark.radius, w / 2, h / 2));
  }
}

function paintOutline(shape, mark) {
  const width = mark.bold || mark.shape === "token" ? 2 : 1.25;
  shape.style.strokeWidth = String(width);
  shape.style.strokeDasharray = dashes(mark);
}

function dashes(mark) {
  if (mark.dashed) return "4 3";
  return mark.dotted ? "1.5 3" : "none";
}

/** A curve through two points (straight), three (quadratic) or four (cubic), with its head. */
function drawArrow(mark, points) {
  const line = svg("path", { d: curve(points), class: "rmw-arrow" });
  line.style.stroke = colour(mark.stroke);
  line.style.strokeWidth = mark.bold ? "2.25" : "1.5";
  line.style.strokeDasharray = dashes(mark);
  const head = svg("path", { d: arrowHead(points) });
  head.style.fill = colour(mark.stroke);
  return svg("g", {}, line, head);
}

const CURVES = ["", "", "L", "Q", "C"];

/** The path of a curve. */
export function curve(points) {
  const letter = CURVES[points.length] ?? "L";
  const [first, ...rest] = points.map(([x, y]) => `${round(x)} ${round(y)}`);
  return `M${first}${letter}${rest.join(" ")}`;
}

function arrowHead(points) {
  const [x, y] = points[points.length - 1];
  const [px, py] = points[points.length - 2];
  const angle = Math.atan2(y - py, x - px);
  const corner = (turn, size) => `${round(x - size * Math.cos(angle + turn))} ${round(y - size * Math.sin(angle + turn))}`;
  return `M${round(x)} ${round(y)}L${corner(0.42, 8)}L${corner(-0.42, 8)}Z`;
}

/** A point of the curve; `t` runs from 0 to 1. */
export function along(points, t) {
  let level = points;
  while (level.length > 1) {
    level = level.slice(1).map((point, i) => [lerp(level[i][0], point[0], t), lerp(level[i][1], point[1], t)]);
  }
  return level[0];
}

/**
 * Draw a mark's lines of text; the film gives their places from the panel's corner.
 * @param {Mark} mark
 * @param {number[][]} points of an arrow, whose words go along when its middle does
 */
export function drawText(mark, points) {
  const [dx, dy] = mark.shape === "arrow" && mark.text.length > 0 ? middleShift(mark, points) : [0, 0];
  return mark.text.map((line) => {
    const text = writeText(svg("text"), line, mark.x - dx, mark.y - dy);
    if (mark.shape === "arrow") text.classList.add("rmw-on-arrow");
    return text;
  });
}

/** Let a text element say a line whose place is counted from x and y: what stays as it was is not touched. */
export function writeText(text, line, x, y) {
  setAttribute(text, "x", round(line.x - x));
  setAttribute(text, "y", round(line.y - y));
  setAttribute(text, "text-anchor", line.anchor ?? "start");
  setAttribute(text, "font-size", line.size ?? 12);
  setAttribute(text, "font-weight", line.weight ?? 400);
  text.classList.toggle("rmw-mono", Boolean(line.mono));
  text.style.fill = colour(line.ink ?? "ink");
  text.style.fontStyle = line.style ?? "";
  setText(text, line.s);
  return text;
}

function middleShift(mark, points) {
  const [x, y] = along(points, 0.5);
  const [ox, oy] = along(mark.points, 0.5);
  return [x - (ox - mark.x), y - (oy - mark.y)];
}

export function lerp(a, b, t) {
  return a + (b - a) * t;
}

export function round(x) {
  return Math.round(x * 100) / 100;
}
