/** The videos of this question and the next, whole, so that nothing is waited for while they play. */

import { persist } from "./api.js";

export class Videos {
  /** @type {Map<number, Promise<string>>} */
  #loading = new Map();

  /** @param {import("./api.js").Api} api @param {(trajectory: number, error: Error | null) => void} onFault */
  constructor(api, onFault) {
    this.api = api;
    this.onFault = onFault;
  }

  /** An address for a video's bytes. Rejects where the service has it no longer. @param {number} trajectory @returns {Promise<string>} */
  load(trajectory) {
    let address = this.#loading.get(trajectory);
    if (!address) {
      const blob = persist(() => this.api.video(trajectory), (error) => this.onFault(trajectory, error));
      address = blob.then(URL.createObjectURL);
      address.catch(() => this.#loading.delete(trajectory)); // it may be there when it is asked for again
      this.#loading.set(trajectory, address);
    }
    return address;
  }

  /** Give back the memory of all but some. @param {Set<number>} wanted */
  keepOnly(wanted) {
    for (const [trajectory, address] of this.#loading) {
      if (wanted.has(trajectory)) continue;
      this.#loading.delete(trajectory);
      address.then(URL.revokeObjectURL, () => {});
    }
  }
}
