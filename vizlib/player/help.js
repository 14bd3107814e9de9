// The help: what the picture means and which keys there are.

import { html } from "./dom.js";
import { KEYS, keyName } from "./keyboard.js";

const GLYPHS = [
  ["A page of the user (p2) lies in a frame of one node. When it is copied, it travels to the other node's frame."],
  ["A PTE says where its page is. While the page moves it holds a migration entry; whoever faults on that waits."],
  ["A dashed TLB entry is stale: the CPU still uses a translation that the page table no longer has."],
  ["Every task has a colour and its name stands beside it. Solid: holds. Dashed: waits."],
  ["A ring marks what this step changed, in the colour of the task that did it."],
  ["Click a mark or a lock-free page to make it the one that “next change” looks for; click a thread to keep its call stack in view."],
];

export class Help {
  constructor() {
    const keys = KEYS.map(([names, , what]) => html("div", {}, html("dt", {}, ...names.flatMap((it, i) => [i ? " " : "", html("kbd", {}, keyName(it))])), html("dd", {}, what)));
    this.close = html("button", { type: "button", class: "rmw-stop", onclick: () => this.toggle(false) }, "close");
    this.el = html("section", { class: "rmw-help", "aria-label": "Help", hidden: true }, html("h3", {}, "How to read the picture"),
      html("ul", {}, ...GLYPHS.map(([text]) => html("li", {}, text))), html("h3", {}, "Keys"), html("dl", {}, ...keys), this.close);
  }

  get open() {
    return !this.el.hidden;
  }

  toggle(open = !this.open) {
    this.el.hidden = !open;
    return open;
  }
}
