// The two graphs, in the machine's place: who waits for whom, and the family that a walk visits.

import { html, setText } from "./dom.js";
import { familyMarks, walksOf, walksTold } from "./family.js";
import { Stage } from "./stage.js";
import { graphAt, layoutOf, waitMarks, waitsTold } from "./waitfor.js";

/** @typedef {import("./film.js").Timeline} Timeline */

export class Graphs {
  /** @param {Timeline} timeline @param {string} whose graphs they are, where there are others beside them */
  constructor(timeline, whose = "") {
    this.whose = whose;
    this.el = html("div", { class: "rmw-graphs", hidden: true });
    this.timeline = timeline;
    /** What moves here. @type {Stage[]} */
    this.stages = [];
  }

  get open() {
    return !this.el.hidden;
  }

  toggle(open = !this.open) {
    this.el.hidden = !open;
    if (open) this.#draw();
    return open;
  }

  /** Another film of the same world. @param {Timeline} timeline */
  setTimeline(timeline) {
    this.timeline = timeline;
    this.stages.length = 0;
    if (this.open) this.#draw();
  }

  /** Show the place, with what shows it: that waits to be made until somebody wants to see it. */
  #draw() {
    if (this.stages.length === 0) this.#make();
    this.show(0, new Set(), "muted");
  }

  #make() {
    const { film } = this.timeline;
    this.layout = layoutOf(this.timeline);
    this.walks = walksOf(this.timeline);
    this.waits = new Graph({ id: "waits", title: "Who waits for whom", note: "dashed: waits for · solid: is held by", x: 0, y: 0, w: this.layout.w, h: this.layout.h }, this.whose);
    const panel = film.family?.panel ?? { id: "family", title: "Family", x: 0, y: 0, w: 380, h: 60 };
    this.family = new Graph({ ...panel, note: "a row an anon_vma, a column a VMA" }, this.whose);
    this.stages.push(this.waits.stage, this.family.stage);
    this.el.replaceChildren(this.waits.el, this.family.el);
  }

  /** @param {number} duration of the motion @param {Set<string>} changed the marks that the step changed @param {string} by the colour of who made it */
  show(duration, changed, by) {
    if (!this.open) return;
    const { timeline } = this;
    const walks = this.walks[timeline.place];
    const graph = graphAt(timeline);
    const waits = waitsTold(timeline.film, graph);
    const [deadlock] = waits.filter((it) => it.startsWith("Deadlock"));
    this.waits.show(waitMarks(timeline, this.layout, graph), { duration, changed: new Set(), by }, deadlock ?? (waits.length > 0 ? "No circle: whoever is waited for can go on." : "Nobody waits."), waits, Boolean(deadlock));
    const marks = familyMarks(timeline, walks);
    const ringed = new Set([...changed].map((it) => it.replace(/^rm:/, "kin:")).filter((it) => marks.has(it)));
    const says = [...marks.values()].map((it) => it.say).filter(Boolean);
    const none = marks.size > 0 ? "Nobody walks." : "No anon_vma here yet.";
    this.family.show(marks, { duration, changed: ringed, by }, walksTold(timeline, walks).join(" ") || none, says.map((it) => `${it}.`), false);
  }
}

/** One graph: a sentence, a picture, and the same in words. */
class Graph {
  constructor(panel, whose) {
    this.title = whose ? `${panel.title}, ${whose}` : panel.title;
    this.stage = new Stage({ panels: [{ ...panel, in: "machine", frame: true }], stage: { w: panel.w, h: panel.h }, first: {} }, () => {});
    this.verdict = html("p", { class: "rmw-verdict" });
    this.words = html("ul", {});
    this.el = html("section", { class: "rmw-graph", "aria-label": this.title, "data-graph": panel.id }, this.verdict, this.stage.el,
      html("details", {}, html("summary", {}, "in words"), this.words));
  }

  show(marks, how, verdict, words, bad) {
    setText(this.verdict, verdict);
    this.verdict.classList.toggle("rmw-bad", bad);
    this.stage.show(marks, how);
    this.stage.label(`${this.title}. ${verdict}`);
    const said = words.length > 0 ? words : [verdict];
    if (said.join() === this.said) return;
    this.said = said.join();
    this.words.replaceChildren(...said.map((it) => html("li", {}, it)));
  }
}
