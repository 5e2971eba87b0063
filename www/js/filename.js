/**
 * Names and types of files that somebody else has chosen: made safe to show and to save under.
 */

const MAX_LENGTH = 120;
const MAX_EXTENSION_LENGTH = 16;
const MAX_TYPE_LENGTH = 100;

/** What stands for a name of which nothing is left. */
const NAMELESS = "file";

/** Controls, line separators, and what turns text round so that "exe.jpg" may end in ".exe". */
const INVISIBLE = /[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}\u{FEFF}\u{FFF9}-\u{FFFB}\u{E0000}-\u{E007F}]/gu;

/** What some system does not allow in a name. */
const RESERVED = /[<>:"|?*]/g;

/** Types that a browser only shows or plays; a page made of any other could run scripts in our name. */
const HARMLESS_TYPE = /^(?:image\/(?:png|jpeg|gif|webp|avif)|(?:audio|video)\/[a-z0-9.+-]+|text\/plain|application\/pdf)$/;

/**
 * @param {unknown} name From the other side.
 * @returns {string} Never empty, at most 120 characters, without folders, with its extension.
 */
export function safeName(name) {
  const text = typeof name === "string" ? name.slice(-16 * MAX_LENGTH).replace(/\p{Surrogate}/gu, "\uFFFD") : "";
  const last = text.split(/[/\\]/).at(-1);
  const clean = last.replace(INVISIBLE, "").replace(/\s+/gu, " ").replace(RESERVED, "_").replace(/^[\s.]+|[\s.]+$/g, "");
  return shorten(clean) || NAMELESS;
}

/**
 * @param {unknown} type A MIME type from the other side.
 * @returns {string} A plain type and subtype in lower case; empty if it is none.
 */
export function safeType(type) {
  const text = typeof type === "string" ? type.slice(0, MAX_TYPE_LENGTH).split(";")[0].trim().toLowerCase() : "";
  return /^[a-z0-9!#$&^_.+-]+\/[a-z0-9!#$&^_.+-]+$/.test(text) ? text : "";
}

/**
 * @param {string} type A MIME type.
 * @returns {string} What a blob may say it is, whatever a person does with its address.
 */
export function blobType(type) {
  return HARMLESS_TYPE.test(type) ? type : "application/octet-stream";
}

/** Cut in the middle of a name rather than off its end, and never through a character. */
function shorten(name) {
  const characters = Array.from(name);
  if (characters.length <= MAX_LENGTH) return name;
  const dot = characters.lastIndexOf(".");
  const extension = dot > 0 && characters.length - dot <= MAX_EXTENSION_LENGTH ? characters.slice(dot) : [];
  return [...characters.slice(0, MAX_LENGTH - extension.length - 1), "…", ...extension].join("");
}
