/**
 * The service, as promises. What it sends is described in `skygarden/designer/service.py`.
 *
 * @typedef {{id: number, seconds: number}} Trajectory
 * @typedef {{id: number, trajectories: Trajectory[], points: number, given: number[] | null}} Question
 * @typedef {{comparisons: number, share: number, low: number, high: number}} Accuracy
 * @typedef {{share: number, of: number}} Share
 * @typedef {{answered: number, skipped: number, comparisons: number, seconds: number, goal: number | null,
 *   last: number | null, everyone: {labellers: number, answered: number, comparisons: number},
 *   agreement: Share | null, accuracy: Accuracy[], learning: boolean, score: Share | null}} Progress
 * @typedef {{intent: string, labeller: string, mode: "pairs" | "groups", store?: string, question: Question | null,
 *   next: Question | null, progress: Progress}} Session
 */

const PATIENCE = 15_000; // ms; a video may have to be made first, so it gets four times as long

/** The service refused (`status` as in HTTP), or could not be reached (`status` 0). */
export class ApiError extends Error {
  /** @param {number} status @param {string} detail */
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }

  /** Whether the same request may work later. */
  get passing() {
    return this.status === 0 || this.status >= 500;
  }
}

export class Api {
  /** Told when the token is refused. */
  onRefused = () => {};
  /** Which answers, and so which episodes, the service is about. Another on the same port has other videos. */
  store = "";

  /** @param {string} token */
  constructor(token) {
    this.token = token;
  }

  /** @param {string | null} labeller @returns {Promise<Session>} */
  session(labeller) {
    return this.#json("GET", `/api/session${labeller ? `?labeller=${encodeURIComponent(labeller)}` : ""}`);
  }

  /** @param {string} labeller @returns {Promise<Progress>} */
  progress(labeller) {
    return this.#json("GET", `/api/progress?labeller=${encodeURIComponent(labeller)}`);
  }

  /** @param {number} question @param {{labeller: string, points: number[] | null, seconds: number}} body @returns {Promise<Session>} */
  answer(question, body) {
    return this.#json("PUT", `/api/questions/${question}/answer`, body);
  }

  /** @param {number} question @param {string} labeller @returns {Promise<Session>} */
  undo(question, labeller) {
    return this.#json("DELETE", `/api/questions/${question}/answer?labeller=${encodeURIComponent(labeller)}`);
  }

  /** @param {number} trajectory @returns {Promise<Blob>} */
  async video(trajectory) {
    const path = `/api/videos/${trajectory}?of=${encodeURIComponent(this.store)}`;
    const response = await this.#request("GET", path, undefined, 4 * PATIENCE, this.store ? "default" : "no-store");
    return reading(response.blob());
  }

  /** An address that works as a link, where no header can be given. */
  get preferencesLink() {
    return `/api/preferences?token=${encodeURIComponent(this.token)}`;
  }

  async #json(method, path, body = undefined) {
    const response = await this.#request(method, path, body, PATIENCE);
    return reading(response.json());
  }

  async #request(method, path, body, patience, cache = "no-store") {
    const headers = { Authorization: `Bearer ${this.token}` };
    if (body !== undefined) headers["Content-Type"] = "application/json";
    const options = { method, headers, cache, signal: AbortSignal.timeout(patience) };
    if (body !== undefined) options.body = JSON.stringify(body);
    const response = await reading(fetch(path, options));
    if (response.status === 401) this.onRefused();
    if (!response.ok) throw new ApiError(response.status, await detailOf(response));
    return response;
  }
}

/** A connection may break before, or in the middle of, an answer: either way nothing is known of what came of it. */
async function reading(promise) {
  try {
    return await promise;
  } catch (error) {
    throw new ApiError(0, `the service cannot be reached (${error})`);
  }
}

async function detailOf(response) {
  try {
    const { detail } = await response.json();
    return typeof detail === "string" ? detail : JSON.stringify(detail);
  } catch {
    return response.statusText;
  }
}

/**
 * Try until the service said something, yes or no.
 *
 * @template T
 * @param {() => Promise<T>} attempt
 * @param {(error: ApiError | null) => void} onFault told after each attempt what kept it from being settled
 * @returns {Promise<T>}
 */
export async function persist(attempt, onFault) {
  for (let wait = 500; ; wait = Math.min(2 * wait, 10_000)) {
    try {
      const result = await attempt();
      onFault(null);
      return result;
    } catch (error) {
      const settled = !(error instanceof ApiError) || !error.passing;
      onFault(settled ? null : error);
      if (settled) throw error;
    }
    await pause(wait);
  }
}

/** Wait, but no longer than until the browser says that the network is back. */
function pause(milliseconds) {
  return new Promise((resolve) => {
    const finish = () => {
      clearTimeout(timer);
      removeEventListener("online", finish);
      resolve(undefined);
    };
    const timer = setTimeout(finish, milliseconds);
    addEventListener("online", finish);
  });
}
