/**
 * Whether a video has anything to show.
 *
 * A camera that is switched off sends black, with every client of this family, and no message says so.
 */

/** The picture is looked at in this size: enough to tell black from a night scene. */
const SIZE = 16;

/** Black is 0; what coding makes of it is hardly more. */
const BLACKEST = 6;

const canvas = document.createElement("canvas");
canvas.width = canvas.height = SIZE;
const context = canvas.getContext("2d", { willReadFrequently: true, alpha: false });

/**
 * @param {HTMLVideoElement} video One that plays.
 * @returns {boolean} False if it has no picture, or one that is black all over.
 */
export function hasPicture(video) {
  if (!video.videoWidth || video.readyState < HTMLMediaElement.HAVE_CURRENT_DATA) return false;
  context.drawImage(video, 0, 0, SIZE, SIZE);
  const { data } = context.getImageData(0, 0, SIZE, SIZE);
  return data.some((value, index) => index % 4 !== 3 && value > BLACKEST);
}
