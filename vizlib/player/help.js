// The help: what the picture means and which keys there are.

import { html } from "./dom.js";
import { KEYS, keyName } from "./keyboard.js";

const GLYPHS = [
  "A page of the user lies in a frame of one node. When it is copied, it travels to a frame of the other node.",
  "A PTE says where its page is. While the page moves it holds a migration entry; whoever faults on that waits.",
  "A dashed TLB entry is stale: the CPU still uses a translation that the page table no longer has.",
  "The reverse map leads from a frame to all who map it: to its anon_vma (an ellipse; those of one family of forks have one lock, their root's), from there over a link (AVC, a diamond) to each VMA (a box: a range of a process's addresses), and so to its PTEs.",
  "An interrupt from CPU to CPU (IPI) is an arrow: drop this translation! It stays until the other has dropped it and answered.",
  "A padlock is shut while somebody holds the lock. A lock further out is taken first.",
  "Every task has a colour, and its name stands beside it. Solid: it holds the lock. Dashed: it waits.",
  "A ring marks what this step changed, in the colour of the task that did it.",
  "Click a page, a PTE or a TLB entry, and “next change” looks for it. Click a thread, and its call stack stays in view.",
  "In the lanes a darker bar is a lock further in; the thin black ones are spinlocks. Click anywhere to go there.",
];

export class Help {
  constructor() {
    const keys = KEYS.map(([names, , what]) => html("div", {}, html("dt", {}, ...names.flatMap((it, i) => [i ? " " : "", html("kbd", {}, keyName(it))])), html("dd", {}, what)));
    this.close = html("button", { type: "button", class: "rmw-stop", onclick: () => this.toggle(false) }, "close");
    this.el = html("section", { class: "rmw-help", "aria-label": "Help", hidden: true }, html("h3", {}, "How to read the picture"),
      html("ul", {}, ...GLYPHS.map((text) => html("li", {}, text))), html("h3", {}, "Keys"), html("dl", {}, ...keys), this.close);
  }

  get open() {
    return !this.el.hidden;
  }

  toggle(open = !this.open) {
    this.el.hidden = !open;
    return open;
  }
}
