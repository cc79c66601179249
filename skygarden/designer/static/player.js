/**
 * Plays videos that start together; each stops on its last picture, and when all have ended they start again together.
 * One clock rules them, that of the farthest, so that a step or a start again never leaves one behind.
 */

const FRAME = 0.1; // seconds
const REST = 700; // ms between the end of the last and the start of all
export const SPEEDS = [0.5, 1, 2, 4];

export class Player {
  /** @type {HTMLVideoElement[]} */
  #videos = [];
  #paused = false; // by the user
  #hidden = false; // a page that nobody sees plays nothing
  #speed = 1;
  #rest = 0;
  #turn = 0; // counts what was asked for, so that what is waited for is dropped when something else is asked for

  /** @param {() => void} onChange told when it was paused, or its speed changed */
  constructor(onChange) {
    this.onChange = onChange;
  }

  get paused() {
    return this.#paused;
  }

  get speed() {
    return this.#speed;
  }

  /** Seconds since the start. */
  get time() {
    return Math.max(0, ...this.#videos.map((video) => video.currentTime));
  }

  /** Take other videos, which have their first picture, and start them. @param {HTMLVideoElement[]} videos */
  take(videos) {
    this.release();
    this.#videos = videos;
    for (const video of videos) video.addEventListener("ended", this.#ended);
    this.#paused = false;
    this.#start(0);
    this.onChange();
  }

  /** Stop, and let go of the videos. */
  release() {
    this.#stop();
    for (const video of this.#videos) video.removeEventListener("ended", this.#ended);
    this.#videos = [];
  }

  toggle() {
    this.#paused = !this.#paused;
    this.#resume();
    this.onChange();
  }

  restart() {
    this.#paused = false;
    this.#start(0);
    this.onChange();
  }

  /** Go some frames on, or back, and stay there. @param {number} frames */
  step(frames) {
    this.#stop();
    this.#paused = true;
    const frame = Math.floor(this.time / FRAME + 1e-3) + frames;
    this.#seek((Math.max(0, frame) + 0.5) * FRAME); // the middle of a frame is on no edge that rounding could cross
    this.onChange();
  }

  /** Take the next speed, or the one before. @param {number} steps */
  faster(steps) {
    const index = Math.min(SPEEDS.length - 1, Math.max(0, SPEEDS.indexOf(this.#speed) + steps));
    this.#speed = SPEEDS[index];
    for (const video of this.#videos) video.playbackRate = this.#speed;
    this.onChange();
  }

  /** @param {boolean} visible */
  show(visible) {
    this.#hidden = !visible;
    this.#resume();
  }

  #resume() {
    this.#stop();
    if (this.#paused || this.#hidden) return;
    this.#start(this.#over ? 0 : this.time);
  }

  get #over() {
    return this.#videos.every((video) => this.time >= video.duration - FRAME / 2);
  }

  #stop() {
    this.#turn += 1;
    clearTimeout(this.#rest);
    for (const video of this.#videos) video.pause();
  }

  /** @returns {Promise<unknown>} when all show that moment */
  #seek(time) {
    return Promise.all(
      this.#videos.map((video) => {
        // Its very end is no picture in every browser: a moment before it is the last one.
        const target = Math.min(time, Math.max(0, video.duration - FRAME / 10));
        if (Math.abs(video.currentTime - target) < 1e-3 && !video.seeking) return null;
        const there = new Promise((resolve) => video.addEventListener("seeked", resolve, { once: true }));
        video.currentTime = target;
        return there;
      }),
    );
  }

  async #start(time) {
    this.#stop();
    const turn = this.#turn;
    await this.#seek(time);
    if (turn !== this.#turn || this.#paused || this.#hidden) return;
    for (const video of this.#videos) {
      video.playbackRate = this.#speed;
      video.play().catch(() => {}); // the browser says so where a video is taken away before it began
    }
  }

  #ended = () => {
    if (this.#paused || !this.#videos.every((video) => video.ended)) return;
    clearTimeout(this.#rest);
    this.#rest = setTimeout(() => this.#start(0), REST);
  };
}
