/**
 * Making parts of the page. Text comes from other people: it is only ever set as text.
 */

const SVG = "http://www.w3.org/2000/svg";

/**
 * @param {string} tag Element name.
 * @param {string} className Its class.
 * @param {string} [text] Its text.
 * @returns {HTMLElement} A new element.
 */
export function element(tag, className, text = "") {
  const node = document.createElement(tag);
  node.className = className;
  node.textContent = text;
  return node;
}

/**
 * @param {string} name Name of a symbol in index.html, without "icon-".
 * @returns {SVGElement} A new icon.
 */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  const use = document.createElementNS(SVG, "use");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  use.setAttribute("href", `#icon-${name}`);
  svg.append(use);
  return svg;
}

/**
 * @param {string} className Its class.
 * @param {string} words What stands on it.
 * @param {() => void} onPress What it does.
 * @returns {HTMLButtonElement} A new button.
 */
export function button(className, words, onPress) {
  const node = element("button", className, words);
  node.type = "button";
  node.addEventListener("click", onPress);
  return node;
}
