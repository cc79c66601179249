/** What each key does, and the words that say so. */

const PLAYBACK = {
  " ": "toggle",
  ",": "back",
  ".": "forth",
  "+": "faster",
  "=": "faster", // the same key without shift
  "-": "slower",
  f: "fullscreen",
  r: "restart",
  s: "skip",
  u: "undo",
  "?": "help",
};
const PAIRS = { ArrowLeft: "left", ArrowRight: "right", ArrowDown: "equal" };
const GROUPS = {
  ArrowLeft: "previous",
  ArrowRight: "following",
  ArrowUp: "above",
  ArrowDown: "below",
  Backspace: "take",
  Enter: "send",
};
const REPEATABLE = new Set(["back", "forth", "faster", "slower", "previous", "following", "above", "below"]);

/**
 * What a key asks for, or null. A number of points is asked for as that number.
 *
 * @param {KeyboardEvent} event
 * @param {"pairs" | "groups"} mode
 * @param {number} points of the scale
 * @returns {string | number | null}
 */
export function commandOf(event, mode, points) {
  if (event.altKey || isTyping(event.target)) return null;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (event.ctrlKey || event.metaKey) return key === "z" && !event.shiftKey && !event.repeat ? "undo" : null;
  if (isPressing(event.target, key)) return null;
  const commands = { ...PLAYBACK, ...(mode === "pairs" ? PAIRS : GROUPS) };
  const command = commands[key] ?? (mode === "groups" ? digitOf(event, points) : null);
  // A key held down is one answer.
  return event.repeat && !REPEATABLE.has(command) ? null : command;
}

/** Some keyboards have digits only with shift: then the place of the key counts. */
function digitOf(event, points) {
  const digit = Number(/^[1-9]$/.exec(event.key)?.[0] ?? /^Digit([1-9])$/.exec(event.code)?.[1] ?? 0);
  return digit >= 1 && digit <= points ? digit : null;
}

const isTyping = (target) => target instanceof Element && target.matches("input, textarea, select");

/** Space and Enter press the button in focus, as everywhere. */
const isPressing = (target, key) =>
  target instanceof Element && (key === " " || key === "Enter") && target.closest("button, a, summary") !== null;

/** @param {"pairs" | "groups"} mode @param {number} points @returns {[string[], string][]} keys, and what they do */
export function legend(mode, points) {
  const answers =
    mode === "pairs"
      ? [
          [["←"], "left is better"],
          [["→"], "right is better"],
          [["↓"], "equal"],
        ]
      : [
          [["1", `${points}`], "give points: 1 is worst"],
          [["←", "→"], "choose a trajectory"],
          [["Backspace"], "take points away"],
          [["Enter"], "send when all have points"],
        ];
  return [
    ...answers,
    [["S"], "skip"],
    [["U"], "undo"],
    [["Space"], "pause, play"],
    [[",", "."], "a frame back, on (while paused)"],
    [["−", "+"], "slower, faster"],
    [["R"], "from the start"],
    [["F"], "full screen"],
    [["?"], "all keys"],
  ];
}

/** @returns {HTMLElement} the keys as a definition list */
export function legendList(mode, points) {
  const list = document.createElement("dl");
  for (const [keys, meaning] of legend(mode, points)) {
    const row = document.createElement("div");
    const [term, definition] = [document.createElement("dt"), document.createElement("dd")];
    term.append(...keysOf(keys));
    definition.textContent = meaning;
    row.append(term, definition);
    list.append(row);
  }
  return list;
}

/** @returns {Node[]} the keys that are needed most, in a line */
export function legendLine(mode, points) {
  const short = legend(mode, points).filter(([keys]) => keys[0] !== "," && keys[0] !== "−");
  return [
    "The keyboard alone is enough: ",
    ...short.flatMap(([keys, meaning]) => {
      const item = document.createElement("span");
      item.append(...keysOf(keys), ` ${meaning}`);
      return [item, " "];
    }),
  ].map((part) => (typeof part === "string" ? document.createTextNode(part) : part));
}

function keysOf(keys) {
  const range = /^\d$/.test(keys[0]);
  return keys.flatMap((key, index) => {
    const kbd = document.createElement("kbd");
    kbd.textContent = key;
    return index ? [document.createTextNode(range ? " to " : " "), kbd] : [kbd];
  });
}
