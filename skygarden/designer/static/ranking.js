/** The points that the cards of a question have been given, and the card that the next ones are for. */

export class Ranking {
  focus = 0;

  /** @param {import("./api.js").Question} question an answer that was taken back is where it starts */
  constructor(question) {
    /** @type {(number | null)[]} */
    this.points = question.given?.slice() ?? question.trajectories.map(() => null);
  }

  /** How many have no points yet. */
  get missing() {
    return this.points.filter((value) => value === null).length;
  }

  /** Give points to a card and go on to the next without any. @param {number} value @param {number} index */
  give(value, index) {
    this.points[index] = value;
    const after = this.points.map((_, step) => (index + 1 + step) % this.points.length);
    this.focus = after.find((other) => this.points[other] === null) ?? index;
  }

  take() {
    this.points[this.focus] = null;
  }

  /** @param {number} index */
  choose(index) {
    this.focus = Math.min(this.points.length - 1, Math.max(0, index));
  }
}
