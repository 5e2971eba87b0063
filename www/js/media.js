/**
 * Camera and microphone.
 */

import { mediaWords } from "./words.js";

const VIDEO = { width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 30 }, facingMode: "user" };
const AUDIO = { echoCancellation: true, noiseSuppression: true, autoGainControl: true };

/** Camera and microphone cannot be used; `message` says why in plain words. */
export class MediaError extends Error {}

/**
 * @typedef {object} LocalMedia
 * @property {MediaStream} stream What was opened.
 * @property {string} note What is missing, in words; empty if nothing is.
 */

/**
 * Open camera and microphone; without a camera the microphone alone, and the other way round.
 *
 * @returns {Promise<LocalMedia>} The open devices.
 * @throws {MediaError} If nothing could be opened.
 */
export async function openMedia() {
  if (!navigator.mediaDevices?.getUserMedia) throw new MediaError(mediaWords(null));
  const attempts = [
    [{ video: VIDEO, audio: AUDIO }, ""],
    [{ audio: AUDIO }, "No camera could be started: you are heard, but not seen."],
    [{ video: VIDEO }, "No microphone could be started: you are seen, but not heard."],
  ];
  let first = null;
  for (const [constraints, note] of attempts) {
    try {
      return { stream: await navigator.mediaDevices.getUserMedia(constraints), note };
    } catch (error) {
      first ??= error;
      if (error.name === "NotAllowedError" || error.name === "SecurityError") break; // "no" is no: do not ask again
    }
  }
  throw new MediaError(mediaWords(first), { cause: first });
}

/**
 * Let go of camera and microphone, so that their lights go out.
 *
 * @param {MediaStream | null} stream The open devices.
 */
export function closeMedia(stream) {
  for (const track of stream?.getTracks() ?? []) track.stop();
}
