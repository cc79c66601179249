/** Where cards are dropped: a lane for each number of points, the best on top; of a pair, one for the better. */

import { still } from "./drag.js";

const CHIP = 34; // pixels

/**
 * Make the lanes of a question.
 *
 * @param {HTMLElement} list
 * @param {import("./deck.js").Deck} deck
 */
export function buildLanes(list, deck) {
  const { points } = deck.question;
  list.classList.toggle("of-pair", deck.mode === "pairs");
  if (deck.mode === "pairs") {
    list.replaceChildren(laneOf(1, "", "Drag the better one here"));
    return;
  }
  const values = Array.from({ length: points }, (_, index) => points - index);
  list.replaceChildren(...values.map((value) => laneOf(value, String(value), wordOf(value, points))));
}

/** Put the cards that have points in their lanes. @param {HTMLElement} list @param {(number | null)[]} points */
export function fillLanes(list, deck, points) {
  if (deck.mode === "pairs") return;
  for (const lane of list.querySelectorAll(".lane")) {
    const value = Number(lane.dataset.points);
    const held = points.flatMap((given, index) => (given === value ? [index] : []));
    const chips = lane.querySelector(".chips");
    const there = [...chips.children].map((chip) => Number(chip.dataset.index));
    if (there.join() !== held.join()) chips.replaceChildren(...held.map((index) => chipOf(deck, index)));
    const names = held.length ? `, has ${held.map((index) => deck.nameOf(index).toLowerCase()).join(", ")}` : "";
    lane.querySelector("button").setAttribute("aria-label", `${describe(value, deck.question.points)}${names}`);
  }
}

const wordOf = (value, points) => (value === points ? "best" : value === 1 ? "worst" : "");

const describe = (value, points) =>
  `Give ${value} ${value === 1 ? "point" : "points"}${wordOf(value, points) && `, ${wordOf(value, points)}`}`;

function laneOf(value, title, word) {
  const lane = document.createElement("li");
  lane.className = "lane";
  lane.dataset.points = String(value);
  if (!title) {
    lane.textContent = word;
    return lane;
  }
  const button = document.createElement("button");
  button.type = "button";
  button.className = "give";
  const [number, label] = [document.createElement("b"), document.createElement("span")];
  number.textContent = title;
  label.textContent = word;
  button.append(number, label);
  const chips = document.createElement("div");
  chips.className = "chips";
  lane.append(button, chips);
  return lane;
}

function chipOf(deck, index) {
  const chip = document.createElement("button");
  chip.type = "button";
  chip.className = "chip";
  chip.dataset.index = String(index);
  chip.setAttribute("aria-label", `Go to ${deck.nameOf(index).toLowerCase()}`);
  const number = document.createElement("span");
  number.textContent = String(index + 1);
  chip.append(still(deck.videos[index], CHIP), number);
  return chip;
}
