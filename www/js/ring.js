/**
 * A soft ring tone, made on the spot instead of played from a file.
 */

const NOTES_HZ = [659.3, 830.6, 987.8];
const NOTE_S = 0.16;
const PERIOD_MS = 2400;
const VOLUME = 0.06;

/** Rings while somebody is calling. */
export class RingTone {
  #context = null;
  #timer = 0;

  /**
   * Start or stop.
   *
   * @param {boolean} ringing Whether it should ring.
   */
  set(ringing) {
    if (ringing === Boolean(this.#timer)) return;
    clearInterval(this.#timer);
    this.#timer = 0;
    if (!ringing) {
      this.#context?.suspend();
      return;
    }
    // a page that nobody has touched yet may not make sounds: asking would only fill the console
    if (navigator.userActivation?.hasBeenActive === false) return;
    this.#context ??= new AudioContext();
    this.#context.resume();
    this.#play();
    this.#timer = setInterval(() => this.#play(), PERIOD_MS);
  }

  #play() {
    NOTES_HZ.forEach((frequency, index) => this.#note(frequency, this.#context.currentTime + index * NOTE_S));
  }

  #note(frequency, start) {
    const oscillator = new OscillatorNode(this.#context, { frequency });
    const gain = new GainNode(this.#context, { gain: 0 });
    gain.gain.setTargetAtTime(VOLUME, start, 0.015);
    gain.gain.setTargetAtTime(0, start + NOTE_S, 0.12);
    oscillator.connect(gain).connect(this.#context.destination);
    oscillator.start(start);
    oscillator.stop(start + 1);
  }
}
