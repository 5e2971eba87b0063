/**
 * Camera, microphone and screen.
 */

import { mediaWords } from "./words.js";

const VIDEO = { width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 30 } };
const AUDIO = { echoCancellation: true, noiseSuppression: true, autoGainControl: true };
const SCREEN = { video: { frameRate: { ideal: 15, max: 30 } }, audio: false };

/** Camera and microphone cannot be used; `message` says why in plain words. */
export class MediaError extends Error {
  /**
   * @param {unknown} cause What getUserMedia rejected with; null if there is no getUserMedia.
   */
  constructor(cause) {
    super(mediaWords(cause), { cause });
    /** False where the browser gives nothing to this page, whatever is asked for. */
    this.possible = Boolean(navigator.mediaDevices?.getUserMedia);
  }
}

/**
 * @typedef {object} LocalMedia
 * @property {MediaStream} stream What was opened.
 * @property {string} note What is missing, in words; empty if nothing is.
 *
 * @typedef {object} Devices
 * @property {string} camera Id of the preferred camera; empty: the browser's choice.
 * @property {string} microphone Id of the preferred microphone.
 */

/** Whether sound can be sent to another loudspeaker than the system's; some browsers cannot. */
export const canChooseSpeaker = "setSinkId" in HTMLMediaElement.prototype;

/** Whether this browser can show its screen to others; phones cannot. */
export const canShareScreen = Boolean(navigator.mediaDevices?.getDisplayMedia);

/**
 * Open what a call needs; without a camera the microphone alone, and the other way round.
 *
 * @param {"video" | "audio" | "none"} wanted Camera and microphone, the microphone alone, or nothing.
 * @param {Devices} devices Which ones.
 * @returns {Promise<LocalMedia>} The open devices.
 * @throws {MediaError} If nothing could be opened.
 */
export async function openMedia(wanted, devices) {
  if (wanted === "none") return { stream: new MediaStream(), note: "You see and hear the other side, but send nothing." };
  const { camera, microphone } = await present(devices);
  const [audio, video] = [audioOf(microphone), videoOf(camera)];
  const attempts = wanted === "audio" ? [[{ audio }, ""]] : [
    [{ video, audio }, ""],
    [{ audio }, "No camera could be started: you are heard, but not seen."],
    [{ video }, "No microphone could be started: you are seen, but not heard."],
  ];
  let first = null;
  for (const [constraints, note] of attempts) {
    try {
      return { stream: await open(constraints), note };
    } catch (error) {
      first ??= error;
      if (!(error instanceof MediaError) || isDenial(error.cause)) break; // "no" is no: do not ask again
    }
  }
  throw first;
}

/**
 * Open one device, in the middle of a call.
 *
 * @param {"audio" | "video"} kind Microphone or camera.
 * @param {Devices} devices Which one.
 * @returns {Promise<MediaStreamTrack>} What it sends.
 * @throws {MediaError} If it could not be opened.
 */
export async function openTrack(kind, devices) {
  const { camera, microphone } = await present(devices);
  const stream = await open(kind === "video" ? { video: videoOf(camera) } : { audio: audioOf(microphone) });
  return stream.getTracks()[0];
}

/**
 * Let the person choose a screen, a window or a tab.
 *
 * @returns {Promise<MediaStreamTrack | null>} Its picture; null if the person chose none.
 */
export async function openScreen() {
  try {
    const stream = await navigator.mediaDevices.getDisplayMedia(SCREEN);
    const [track] = stream.getVideoTracks();
    track.contentHint = "detail"; // text is to stay readable, even if fewer pictures come
    return track;
  } catch (error) {
    console.info("No screen is shared:", error.name);
    return null;
  }
}

/**
 * What can be chosen from. Browsers tell no names before a device has been allowed once.
 *
 * @returns {Promise<{video: MediaDeviceInfo[], audio: MediaDeviceInfo[], output: MediaDeviceInfo[]}>}
 *   Cameras, microphones and loudspeakers.
 */
export async function listDevices() {
  const all = await enumerate();
  const known = (wanted) => all.filter(({ deviceId, kind }) => deviceId && kind === wanted);
  return { video: known("videoinput"), audio: known("audioinput"), output: known("audiooutput") };
}

/**
 * Let go of camera and microphone, so that their lights go out.
 *
 * @param {MediaStream | null} stream The open devices.
 */
export function closeMedia(stream) {
  for (const track of stream?.getTracks() ?? []) track.stop();
}

async function enumerate() {
  try {
    return (await navigator.mediaDevices?.enumerateDevices?.()) ?? [];
  } catch (error) {
    console.info("The browser does not tell which devices there are:", error.name);
    return [];
  }
}

async function open(constraints) {
  if (!navigator.mediaDevices?.getUserMedia) throw new MediaError(null);
  try {
    return await navigator.mediaDevices.getUserMedia(constraints);
  } catch (error) {
    throw new MediaError(error);
  }
}

/** A device that was unplugged since it was chosen must not keep anybody from calling. */
async function present({ camera, microphone }) {
  if (!camera && !microphone) return { camera, microphone };
  const { video, audio } = await listDevices();
  const among = (list, id) => (list.some(({ deviceId }) => deviceId === id) ? id : "");
  return { camera: among(video, camera), microphone: among(audio, microphone) };
}

function isDenial(error) {
  return error?.name === "NotAllowedError" || error?.name === "SecurityError";
}

function videoOf(camera) {
  return camera ? { ...VIDEO, deviceId: { exact: camera } } : { ...VIDEO, facingMode: "user" };
}

function audioOf(microphone) {
  return microphone ? { ...AUDIO, deviceId: { exact: microphone } } : AUDIO;
}
