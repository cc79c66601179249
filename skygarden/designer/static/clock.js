/** Time that a person spent: while the page is visible, and up to a minute after the last movement or key. */

const IDLE = 60_000; // ms

export class Stopwatch {
  #counted = 0;
  #since;
  #moved;
  #visible = true;

  /** @param {() => number} now milliseconds */
  constructor(now = () => performance.now()) {
    this.now = now;
    this.#since = this.#moved = now();
  }

  /** Somebody is there. */
  move() {
    this.#settle();
    this.#moved = this.now();
  }

  /** @param {boolean} visible */
  show(visible) {
    this.#settle();
    this.#visible = visible;
    if (visible) this.#moved = this.now();
  }

  /** Start from zero. */
  reset() {
    this.#settle();
    this.#counted = 0;
  }

  /** Seconds. */
  read() {
    this.#settle();
    return this.#counted / 1000;
  }

  #settle() {
    const now = this.now();
    if (this.#visible) this.#counted += Math.max(0, Math.min(now, this.#moved + IDLE) - this.#since);
    this.#since = now;
  }
}

/** @param {number} seconds */
export function clock(seconds) {
  const whole = Math.floor(seconds);
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const two = (value) => String(value).padStart(2, "0");
  return hours ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}

/** The same in words. @param {number} seconds */
export function duration(seconds) {
  const minutes = Math.round(seconds / 60);
  if (minutes < 1) return "less than a minute";
  return minutes === 1 ? "a minute" : `${minutes} minutes`;
}
