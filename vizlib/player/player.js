// The player, as a page and a notebook call it: mount() shows a film, render() is what anywidget calls.

import { opened } from "./address.js";
import { Compare } from "./compare.js";
import { html } from "./dom.js";
import { DAMAGED, FilmError, filmError } from "./film.js";
import { Kernel } from "./kernel.js";
import { TimeLanes } from "./timeline.js";
import { Player } from "./view.js";

/** @typedef {import("./view.js").Options} Options */

/**
 * Show a film.
 * @param {HTMLElement} host emptied and filled
 * @param {any} film
 * @param {Options} options
 */
export function mount(host, film, options = {}) {
  try {
    if (film?.format === "rmapwalk-timeline") return new TimeLanes(host, film, options);
    return film?.compare ? new Compare(host, film, options) : new Player(host, film, options);
  } catch (error) {
    return refuse(host, filmError(error));
  }
}

/** The film of a page, which is packed. @param {string} text base64 of gzip of JSON */
async function unpacked(text) {
  if (typeof DecompressionStream === "undefined") throw new FilmError("this browser is too old to unpack it (it needs DecompressionStream, of 2023)");
  try {
    const bytes = Uint8Array.from(atob(text.trim()), (letter) => letter.charCodeAt(0));
    return JSON.parse(await new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).text());
  } catch {
    throw new FilmError(DAMAGED);
  }
}

/** Show the packed film of a page as its address asks. @param {HTMLElement} host @param {string} text @param {string} hash */
export async function mountPacked(host, text, hash) {
  let asked;
  try {
    asked = opened(await unpacked(text), hash);
  } catch (error) {
    return refuse(host, filmError(error));
  }
  const { film, step, speed, theme, notice } = asked;
  const player = mount(host, film, { heading: "h1", wholePage: true, step, speed, theme: /** @type {any} */ (theme) });
  player?.notice?.show(notice);
  return player;
}

function refuse(host, error) {
  host.replaceChildren(html("p", { class: "rmapwalk rmw-error", role: "alert" }, `This cannot be played: ${error.message}.`));
  return null;
}

/** What anywidget calls for each view of the widget; it returns how to clean up. */
function render({ model, el }) {
  const kernel = new Kernel(model);
  const player = mount(el, model.get("film"), {
    driver: kernel,
    onRuns: (runs) => {
      model.set("runs", runs);
      model.save_changes();
    },
    step: model.get("step"),
    speed: model.get("speed"),
    theme: model.get("theme"),
    prediction: model.get("prediction"),
    onStep: (step) => {
      model.set("step", step);
      model.save_changes();
    },
    onPlaying: (playing) => {
      model.set("playing", playing);
      model.save_changes();
    },
  });
  if (!player?.seek) return () => player?.destroy();
  if (model.get("step") === null) {
    model.set("step", player.step);
    model.save_changes();
  }
  const onStep = () => player.seek(model.get("step"), { quiet: true });
  const onPlaying = () => (model.get("playing") ? player.play() : player.pause());
  model.on("change:step", onStep);
  model.on("change:playing", onPlaying);
  return () => {
    model.off("change:step", onStep);
    model.off("change:playing", onPlaying);
    kernel.destroy();
    player.destroy();
  };
}

export default { render };
