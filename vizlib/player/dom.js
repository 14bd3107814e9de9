// Small helpers that make elements.  Nothing here knows what a film is.

const SVG = "http://www.w3.org/2000/svg";

/**
 * Give an element its attributes, listeners (`onclick`) and children.
 * @param {Element} el
 * @param {Record<string, any>} attributes null, undefined and false are left out; true is an empty value
 * @param {(Node | string | null)[]} children
 */
function fill(el, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) el.addEventListener(name.slice(2), value);
    else el.setAttribute(name, value === true ? "" : String(value));
  }
  for (const child of children) if (child !== null) el.append(child);
  return el;
}

/** An HTML element. @returns {any} */
export function html(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** An SVG element. @returns {any} */
export function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

/** Change an element's text only if it differs: an untouched live region is not read out again. */
export function setText(el, text) {
  if (el.textContent !== text) el.textContent = text;
}

/** Set an attribute, or remove it if the value is null or false. */
export function setAttribute(el, name, value) {
  if (value === null || value === undefined || value === false) el.removeAttribute(name);
  else if (el.getAttribute(name) !== String(value)) el.setAttribute(name, String(value));
}

/** Give an element the colour of the task that made the step; returns the element. @param {any} el @param {string} name */
export function paintNow(el, name) {
  el.style.setProperty("--now", `var(--rw-${name})`);
  return el;
}

/** A colour of the theme by its name: `colour("task0")` is `var(--rw-task0)`; "none" stays none. */
export function colour(name) {
  return name && name !== "none" ? `var(--rw-${name})` : "none";
}

/** Lists that are longer than what is seen of them.  To ask again at each step would cost a layout. @type {WeakSet<Element>} */
const scrolling = new WeakSet();

/** Look whether lists scroll, after a change of size. @param {Element[]} lists */
export function measureLists(lists) {
  for (const list of lists) {
    if (list.scrollHeight > list.clientHeight) scrolling.add(list);
    else scrolling.delete(list);
  }
}

/** Scroll a list so that one of its items can be seen; the page itself stays where it is. */
export function keepInView(item) {
  const list = item?.parentNode;
  if (!list || !scrolling.has(list)) return;
  const { offsetTop, offsetHeight } = item; // from the list's top: it is positioned
  const { scrollTop, clientHeight } = list;
  if (offsetTop < scrollTop) list.scrollTop = offsetTop - 4;
  else if (offsetTop + offsetHeight > scrollTop + clientHeight) list.scrollTop = offsetTop + offsetHeight - clientHeight + 4;
}
