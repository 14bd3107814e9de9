// Where the machine's panels stand: as the film says on a wide page, one under the other on a narrow one.

import { svg } from "./dom.js";

/**
 * @typedef {{id: string, title: string, note?: string, x: number, y: number, w: number, h: number, frame?: boolean,
 *            in?: string}} Panel
 * @typedef {{w: number, h: number, at: Map<string, number[]>, shift: Map<string, number[]>}} Flow
 *   `at`: a panel's corner; `shift`: how far it stands from the place the film gives it;
 *   a panel that is in neither is not shown
 */

const GAP = 12;
const ROOM = 26; // between rows, where arrows run

/** The machine's panels. @returns {Panel[]} */
export function machinePanels(film) {
  return film.panels.filter((panel) => panel.in === "machine");
}

/** The film's own places. @returns {Flow} */
export function wideFlow(film) {
  const panels = machinePanels(film);
  const w = film.stage?.w ?? Math.max(...panels.map((panel) => panel.x + panel.w));
  const h = film.stage?.h ?? Math.max(...panels.map((panel) => panel.y + panel.h));
  return flowOf(film, w, h, new Map(panels.map((panel) => [panel.id, [panel.x, panel.y]])));
}

/** Rows of the film broken so that nothing is wider than the widest panel. @returns {Flow} */
export function narrowFlow(film) {
  const panels = machinePanels(film).filter((panel) => panel.id !== "key");
  const width = Math.max(...panels.map((panel) => panel.w));
  /** @type {{y: number, w: number, h: number, panels: Panel[]}[]} */
  const rows = [];
  for (const panel of panels.sort((a, b) => a.y - b.y || a.x - b.x)) {
    const row = rows.at(-1);
    if (row && panel.y <= row.y + 4 && row.w + GAP + panel.w <= width) {
      row.panels.push(panel);
      row.w += GAP + panel.w;
      row.h = Math.max(row.h, panel.h);
    } else {
      rows.push({ y: panel.y, w: panel.w, h: panel.h, panels: [panel] });
    }
  }
  const at = new Map();
  let y = 0;
  rows.forEach((row, i) => {
    if (i > 0) y += rows[i - 1].h + (row.y > rows[i - 1].y + 4 ? ROOM : GAP);
    let x = (width - row.w) / 2;
    for (const panel of row.panels) {
      at.set(panel.id, [x, y]);
      x += panel.w + GAP;
    }
  });
  return flowOf(film, width, y + (rows.at(-1)?.h ?? 0), at);
}

function flowOf(film, w, h, at) {
  const shift = new Map();
  for (const { id, x, y } of machinePanels(film)) if (at.has(id)) shift.set(id, [at.get(id)[0] - x, at.get(id)[1] - y]);
  return { w, h, at, shift };
}

/** A panel's frame. @param {Panel} panel @param {number[]} corner */
export function drawFrame(panel, [x, y]) {
  return svg("rect", { class: "rmw-frame", x, y, width: panel.w, height: panel.h, rx: 9 });
}

/** A panel's title and note. @param {Panel} panel @param {number[]} corner */
export function drawTitle(panel, [x, y]) {
  const g = svg("g", { class: panel.frame ? "rmw-panel rmw-framed" : "rmw-panel", "data-panel": panel.id, transform: `translate(${x} ${y})` });
  const edge = panel.frame ? 10 : 2;
  if (panel.title) g.append(svg("text", { class: "rmw-title", x: edge, y: 15 }, panel.title));
  if (panel.note) g.append(svg("text", { class: "rmw-note", x: panel.w - edge, y: 15, "text-anchor": "end" }, panel.note));
  return g;
}
