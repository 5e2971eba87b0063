/**
 * Typing into a field that does not have the keyboard at the moment.
 */

/**
 * @param {Element} element What has, or had, the keyboard.
 * @returns {boolean} Whether letters go into it.
 */
export function isTextField(element) {
  return element.matches("input:is([type=text], [type=password]):not(:disabled, :read-only)");
}

/**
 * @param {KeyboardEvent} event A key that was pressed.
 * @returns {boolean} Whether it writes something: shortcuts do not, AltGr does.
 */
export function isLetter(event) {
  const isShortcut = (event.ctrlKey || event.altKey || event.metaKey) && !event.getModifierState("AltGraph");
  return [...event.key].length === 1 && !isShortcut;
}

/**
 * Put a letter where the caret is, or instead of what is selected; a field that is full takes none.
 *
 * @param {HTMLInputElement} field Where to write.
 * @param {string} letter What.
 */
export function write(field, letter) {
  const { value, selectionStart, selectionEnd, maxLength } = field;
  const length = value.length - (selectionEnd - selectionStart) + letter.length;
  if (maxLength < 0 || length <= maxLength) replace(field, letter, selectionStart);
}

/**
 * Take away what is selected, or the letter before the caret.
 *
 * @param {HTMLInputElement} field Where from.
 */
export function erase(field) {
  const { value, selectionStart, selectionEnd } = field;
  const last = [...value.slice(0, selectionStart)].at(-1) ?? "";
  replace(field, "", selectionStart === selectionEnd ? selectionStart - last.length : selectionStart);
}

function replace(field, text, start) {
  field.setRangeText(text, start, field.selectionEnd, "end");
  field.dispatchEvent(new InputEvent("input", { bubbles: true }));
}
