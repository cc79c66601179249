/**
 * The cards of one question: a video each, with its number, its points and how long it took. The deck of the next
 * question is made while the designer looks at this one, and lies invisible in its place, first pictures ready.
 */

const SIDES = ["Left", "Right"];

export class Deck {
  /** @type {HTMLElement[]} */
  cards = [];
  /** @type {HTMLVideoElement[]} */
  videos = [];
  ready = false;
  /** Why the question can only be skipped; empty while it can be answered. */
  fault = "";

  /**
   * @param {import("./api.js").Question} question
   * @param {"pairs" | "groups"} mode
   * @param {import("./videos.js").Videos} videos
   */
  constructor(question, mode, videos) {
    this.question = question;
    this.mode = mode;
    this.element = document.createElement("div");
    this.element.className = "deck waiting";
    const longest = Math.max(...question.trajectories.map(({ seconds }) => seconds));
    for (const [index, trajectory] of question.trajectories.entries()) this.#add(index, trajectory, longest);
    this.element.append(...this.cards);
    this.whenReady = this.#load(videos);
  }

  /** What a person calls a card. @param {number} index */
  nameOf(index) {
    return this.mode === "pairs" ? SIDES[index] : `Trajectory ${index + 1}`;
  }

  /** Show which card is in focus, and the points. @param {(number | null)[]} points @param {number} current */
  mark(points, current) {
    for (const [index, card] of this.cards.entries()) {
      const given = points[index];
      const said = given === null ? "no points yet" : `${given} of ${this.question.points} points`;
      card.classList.toggle("current", index === current);
      card.tabIndex = index === current ? 0 : -1;
      card.setAttribute("aria-label", `${this.nameOf(index)} of ${this.cards.length}, ${said}`);
      const badge = card.querySelector(".badge");
      badge.textContent = given ?? "";
      badge.classList.toggle("given", given !== null);
    }
  }

  /** Give all cards the largest squares that fit. @param {number} width @param {number} height pixels @param {number} gap */
  fit(width, height, gap) {
    const count = this.cards.length;
    const columns = bestColumns(count, width, height, gap);
    const rows = Math.ceil(count / columns);
    // A pixel less: what the browser calls the width of the room is rounded.
    const side = Math.max(64, Math.min((width - 1 - gap * (columns - 1)) / columns, (height - gap * (rows - 1)) / rows));
    this.columns = columns;
    this.width = columns * Math.floor(side) + (columns - 1) * gap;
    this.element.style.setProperty("--side", `${Math.floor(side)}px`);
    this.element.style.setProperty("--width", `${this.width}px`);
  }

  /** Show how far each has come. */
  tick() {
    for (const [index, video] of this.videos.entries()) {
      const share = video.duration ? video.currentTime / video.duration : 0;
      this.cards[index].querySelector(".done").style.transform = `scaleX(${share})`;
    }
  }

  dispose() {
    for (const video of this.videos) {
      video.pause();
      video.removeAttribute("src");
      video.load(); // or the browser keeps the decoder
    }
    this.element.remove();
  }

  #add(index, trajectory, longest) {
    const card = document.createElement("div");
    card.className = "card";
    card.dataset.index = String(index);
    card.setAttribute("role", "group");
    card.setAttribute("aria-label", this.mode === "pairs" ? `${this.nameOf(index)} trajectory` : this.nameOf(index));
    const video = document.createElement("video");
    Object.assign(video, { muted: true, playsInline: true, preload: "auto", disablePictureInPicture: true });
    video.tabIndex = -1;
    video.setAttribute("aria-label", `Video of ${this.nameOf(index).toLowerCase()}, ${trajectory.seconds.toFixed(1)} seconds`);
    const note = spanOf("note", "Loading");
    note.removeAttribute("aria-hidden");
    card.append(
      video,
      note,
      spanOf("tag", this.mode === "pairs" ? SIDES[index] : String(index + 1)),
      spanOf("seconds", `${trajectory.seconds.toFixed(1)} s`),
      spanOf("badge", ""),
    );
    const bar = spanOf("bar", "");
    bar.style.width = `${(100 * trajectory.seconds) / longest}%`; // all bars have one scale, so the short end early
    bar.append(spanOf("done", ""));
    card.append(bar);
    this.cards.push(card);
    this.videos.push(video);
  }

  async #load(videos) {
    await Promise.all(this.videos.map((video, index) => this.#loadOne(video, index, videos)));
    this.ready = true;
  }

  async #loadOne(video, index, videos) {
    try {
      const address = await videos.load(this.question.trajectories[index].id);
      await new Promise((resolve, reject) => {
        video.addEventListener("canplaythrough", resolve, { once: true });
        video.addEventListener("error", () => reject(new Error("This browser cannot play the video")), { once: true });
        video.src = address;
        video.load();
      });
      this.cards[index].classList.add("loaded");
    } catch (error) {
      const gone = error.status === 404;
      this.fault = gone ? "A trajectory is gone" : `A video cannot be shown (${error.message})`;
      const note = gone ? "This trajectory is gone. Skip the question." : `${error.message}. Skip the question.`;
      this.cards[index].querySelector(".note").textContent = note;
      this.cards[index].classList.add("gone");
    }
  }
}

/** Columns that make the largest squares of so many in a room. @param {number} count */
export function bestColumns(count, width, height, gap) {
  const side = (columns) => {
    const rows = Math.ceil(count / columns);
    return Math.min((width - gap * (columns - 1)) / columns, (height - gap * (rows - 1)) / rows);
  };
  // Two that are compared stay side by side: left and right are what the keys mean.
  if (count === 2) return 2;
  return Array.from({ length: count }, (_, index) => index + 1).reduce((a, b) => (side(b) > side(a) ? b : a));
}

function spanOf(name, text) {
  const span = document.createElement("span");
  span.className = name;
  span.textContent = text;
  span.setAttribute("aria-hidden", "true"); // the card's label says it
  return span;
}
