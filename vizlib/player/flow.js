// Where the machine's panels stand: as the film says on a wide page, one under the other on a narrow one.

import { svg } from "./dom.js";

/**
 * @typedef {{id: string, title: string, note?: string, x: number, y: number, w: number, h: number, frame?: boolean,
 *            in?: string}} Panel
 * @typedef {{w: number, h: number, at: Map<string, number[]>, shift: Map<string, number[]>}} Flow
 *   `at`: a panel's corner; `shift`: how far it stands from the place the film gives it
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
  const panels = machinePanels(film);
  const width = Math.max(...panels.map((panel) => panel.w));
  const at = new Map();
  let x = 0;
  let y = 0;
  let height = 0;
  let row = panels[0]?.y;
  for (const panel of [...panels].sort((a, b) => a.y - b.y || a.x - b.x)) {
    const newRow = panel.y > row + 4;
    if (newRow || x + panel.w > width) {
      y += height + (newRow ? ROOM : GAP);
      x = 0;
      height = 0;
      row = panel.y;
    }
    at.set(panel.id, [x, y]);
    x += panel.w + GAP;
    height = Math.max(height, panel.h);
  }
  return flowOf(film, width, y + height, at);
}

function flowOf(film, w, h, at) {
  const shift = new Map(machinePanels(film).map((panel) => {
    const [x, y] = at.get(panel.id);
    return [panel.id, [x - panel.x, y - panel.y]];
  }));
  return { w, h, at, shift };
}

/** A panel's frame and title. @param {Panel} panel @param {number[]} corner */
export function drawPanel(panel, [x, y]) {
  const g = svg("g", { class: "rmw-panel", "data-panel": panel.id, transform: `translate(${x} ${y})` });
  if (panel.frame) g.append(svg("rect", { class: "rmw-frame", width: panel.w, height: panel.h, rx: 9 }));
  const edge = panel.frame ? 10 : 2;
  if (panel.title) g.append(svg("text", { class: "rmw-title", x: edge, y: 15 }, panel.title));
  if (panel.note) g.append(svg("text", { class: "rmw-note", x: panel.w - edge, y: 15, "text-anchor": "end" }, panel.note));
  return g;
}
