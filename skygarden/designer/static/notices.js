/** What the page says of itself: whether the last answer is saved, what is wrong, and the same for who listens. */

const at = (id) => /** @type {HTMLElement} */ (document.getElementById(id));

const SAVED = { idle: "", saving: "Saving…", saved: "Saved" };

/** @param {"idle" | "saving" | "saved"} state */
export function showSaved(state) {
  const place = at("saved");
  place.dataset.state = state;
  place.textContent = SAVED[state];
}

/** Tell a screen reader. @param {string} text */
export function say(text) {
  const place = at("live");
  place.textContent = place.textContent === text ? `${text}\u00a0` : text; // only what changes is read out
}

/**
 * The banner says the worst thing that is known: a dead address, then a lost connection, then what somebody should
 * know once.
 */
export class Banner {
  #faults = new Map();
  #note = "";
  #dead = false;

  /** @param {() => boolean} isKept whether an answer waits to be sent */
  constructor(isKept) {
    this.isKept = isKept;
  }

  get lost() {
    return this.#faults.size > 0;
  }

  /** @param {string} what @param {import("./api.js").ApiError | null} error null: it works again */
  fault(what, error) {
    if (error) this.#faults.set(what, error);
    else this.#faults.delete(what);
    this.#show();
  }

  /** Say something once; nothing takes it back. @param {string} text */
  note(text) {
    this.#note = text;
    this.#show();
  }

  die() {
    this.#dead = true;
    this.#show();
  }

  #show() {
    const text = this.#text();
    const banner = at("banner");
    banner.hidden = !text;
    banner.classList.toggle("bad", this.#dead || this.lost);
    if (banner.textContent !== text) banner.textContent = text;
  }

  #text() {
    const kept = this.isKept();
    if (this.#dead) {
      const rest = kept ? " Your last answer is kept in this browser and will be sent from there." : "";
      return `This address is no longer valid. Open the one that “skygarden label” printed in its terminal.${rest}`;
    }
    const [error] = this.#faults.values();
    if (!error) return this.#note;
    const what = error.status ? `The service has a fault (${error.message})` : "Connection lost";
    return `${what}: ${kept ? "your last answer is kept here and will be sent" : "trying again"}.`;
  }
}
