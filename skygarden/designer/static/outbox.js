/**
 * Answers that the service has not confirmed, kept in the browser: a reload, or a browser that is closed, loses none.
 * An answer may be sent twice, as nobody knows whether one without a reply arrived; the service counts it once.
 *
 * @typedef {{store: string, question: number, labeller: string, points: number[] | null, seconds: number}} Answer
 */

const PREFIX = "skygarden answer ";

const keyOf = (answer) => `${PREFIX}${JSON.stringify([answer.store, answer.labeller, answer.question])}`;

export class Outbox {
  /** @param {Storage} storage */
  constructor(storage) {
    this.storage = storage;
    this.unkept = new Map(); // where the browser keeps nothing: full, or forbidden
  }

  /** @param {Answer} answer */
  keep(answer) {
    try {
      this.storage.setItem(keyOf(answer), JSON.stringify(answer));
    } catch {
      this.unkept.set(keyOf(answer), answer);
    }
  }

  /** @param {Answer} answer */
  drop(answer) {
    this.unkept.delete(keyOf(answer));
    this.storage.removeItem(keyOf(answer));
  }

  /** Whether an answer waits still; another tab may have sent it. @param {Answer} answer */
  holds(answer) {
    return this.unkept.has(keyOf(answer)) || this.storage.getItem(keyOf(answer)) !== null;
  }

  /** Whether any answer waits. */
  get any() {
    return this.unkept.size > 0 || this.#keys().length > 0;
  }

  /**
   * The answers to questions of one store: a question's number means nothing to another.
   *
   * @param {string} store
   * @returns {Answer[]}
   */
  waiting(store) {
    return this.#keys()
      .map((key) => parsed(this.storage.getItem(key)))
      .filter((answer) => answer?.store === store)
      .sort((a, b) => a.question - b.question);
  }

  #keys() {
    const all = Array.from({ length: this.storage.length }, (_, index) => this.storage.key(index) ?? "");
    return all.filter((key) => key.startsWith(PREFIX));
  }
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
