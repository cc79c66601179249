/** Keys and clicks, and what they ask for. */

import { commandOf } from "./keys.js";

/**
 * @param {object} page
 * @param {() => "pairs" | "groups" | null} page.mode null: nothing is known yet
 * @param {() => number} page.scale points that can be given
 * @param {(name: string) => void} page.command
 * @param {(points: number) => void} page.give to the card in focus
 * @param {(index: number) => void} page.choose a card
 */
export function listen({ mode, scale, command, give, choose }) {
  const dialog = /** @type {HTMLDialogElement} */ (document.getElementById("keys"));

  addEventListener("keydown", (event) => {
    const now = mode();
    if (!now || dialog.open) return;
    const asked = commandOf(event, now, scale());
    if (asked === null) return;
    event.preventDefault();
    if (typeof asked === "number") give(asked);
    else command(asked);
  });

  addEventListener("click", (event) => {
    const target = /** @type {Element} */ (event.target);
    const button = /** @type {HTMLElement | null} */ (target.closest("[data-do]"));
    const card = /** @type {HTMLElement | null} */ (target.closest(".card, .chip"));
    const lane = /** @type {HTMLElement | null} */ (target.closest(".lane"));
    if (!mode() || !(button || card || lane)) return;
    // A button that was clicked gives the focus back, or the space bar would press it again instead of pausing.
    if (event.detail && document.activeElement instanceof HTMLElement) document.activeElement.blur();
    if (button) command(button.dataset.do ?? "");
    else if (mode() === "pairs") return;
    else if (card) choose(Number(card.dataset.index));
    else if (lane) give(Number(lane.dataset.points));
  });
}
