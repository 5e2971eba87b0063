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
 * @returns {boolean} Whether it writes something: shortcuts do not, AltGr does, as does Option on Apple's keyboards.
 */
export function isLetter(event) {
  const { ctrlKey, altKey, metaKey } = event;
  const isShortcut = ctrlKey || metaKey || (altKey && !/^(Mac|iP)/.test(navigator.platform));
  return [...event.key].length === 1 && (!isShortcut || event.getModifierState("AltGraph"));
}

/**
 * @param {KeyboardEvent} event A key that was pressed.
 * @returns {boolean} Whether it takes one letter away; a shortcut would take a word or a line.
 */
export function isErasure({ key, ctrlKey, altKey, metaKey }) {
  return key === "Backspace" && !(ctrlKey || altKey || metaKey);
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
