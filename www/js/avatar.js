/**
 * The coloured disc with initials that stands for a peer.
 */

/**
 * Up to two letters of a name.
 *
 * @param {string} name Any text.
 * @returns {string} Upper-case initials; "?" if the name has no letter or digit.
 */
export function initials(name) {
  const words = name.match(/[\p{L}\p{N}]+/gu) ?? [];
  const letters = [words[0], words.length > 1 ? words.at(-1) : undefined].filter(Boolean).map((word) => [...word][0]);
  return letters.join("").toUpperCase() || "?";
}

/**
 * Let an element stand for a peer.
 *
 * @param {HTMLElement} element Element with the class `avatar`.
 * @param {{id: string, name: string}} peer Whom.
 */
export function showAvatar(element, { id, name }) {
  let sum = 0;
  for (const character of id) sum = (sum * 31 + character.codePointAt(0)) % 65521;
  element.style.setProperty("--hue", String((sum * 137.5) % 360)); // the golden angle keeps neighbours apart
  element.textContent = initials(name);
}
