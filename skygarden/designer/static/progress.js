/** How far the designer is, in numbers, a chart and plain sentences. */

import { clock, duration } from "./clock.js";

const SVG = "http://www.w3.org/2000/svg";
const percent = (share) => `${Math.round(100 * share)}%`;
const counted = (count, one, many = `${one}s`) => `${count} ${count === 1 ? one : many}`;
const at = (id) => /** @type {HTMLElement} */ (document.getElementById(id));

/** @param {import("./api.js").Progress} progress */
export function showProgress(progress) {
  const { answered, skipped, comparisons, goal, everyone } = progress;
  at("answered").textContent = `${answered}`;
  at("skipped").textContent = `${skipped}`;
  at("comparisons").textContent = goal ? `${comparisons} of ${goal}` : `${comparisons}`;
  const bar = /** @type {HTMLProgressElement} */ (at("goal"));
  bar.hidden = !goal;
  if (goal) Object.assign(bar, { max: goal, value: Math.min(goal, comparisons) });
  at("learning").hidden = !progress.learning;
  at("accuracy").textContent = accuracySentence(progress.accuracy);
  at("agreement").textContent = progress.agreement
    ? `Labellers agree on ${percent(progress.agreement.share)} of ${counted(progress.agreement.of, "pair")} that two have compared.`
    : "";
  at("score").textContent = progress.score
    ? `The reward model's score agrees with ${percent(progress.score.share)} of ${counted(progress.score.of, "comparison")}.`
    : "";
  at("everyone").textContent =
    everyone.labellers > 1
      ? `All ${everyone.labellers} labellers together: ${counted(everyone.answered, "answer")}, ${counted(everyone.comparisons, "comparison")}.`
      : "";
  for (const link of document.querySelectorAll("[data-link=preferences]")) link.hidden = everyone.comparisons === 0;
  drawChart(progress.accuracy);
}

/** @param {number} seconds */
export function showTime(seconds) {
  at("time").textContent = clock(seconds);
}

/** What is done, for somebody who has nothing left to do. @param {import("./api.js").Progress} progress */
export function summary({ answered, comparisons, seconds }) {
  return `You gave ${counted(answered, "answer")}, which are ${counted(comparisons, "comparison")}, in ${duration(seconds)}.`;
}

/** @param {import("./api.js").Accuracy[]} trend */
export function accuracySentence(trend) {
  const last = trend.at(-1);
  if (!last) return "Not known yet: it takes some answers to learn from, and some to test on.";
  const range = `interval ${Math.round(100 * last.low)} to ${percent(last.high)}`;
  return `${percent(last.share)} of held-out comparisons right after ${last.comparisons}, ${range}; ${tendency(trend)}.`;
}

/** Against half as many comparisons: if doubling them brought little, more of them will not bring much. */
function tendency(trend) {
  const last = trend.at(-1);
  const before = trend.filter(({ comparisons }) => 2 * comparisons <= last.comparisons).at(-1);
  if (!before) return "too early to say whether it still rises";
  if (last.share - before.share > 0.02) return "still rising";
  return "level: more answers help little";
}

/** @param {import("./api.js").Accuracy[]} trend */
function drawChart(trend) {
  const key = JSON.stringify(trend);
  const place = at("chart");
  if (place.dataset.key === key) return;
  place.dataset.key = key;
  place.replaceChildren(trend.length ? chartOf(trend) : emptyChart());
}

function emptyChart() {
  const text = document.createElement("p");
  text.textContent = "The trend appears here.";
  return text;
}

function chartOf(trend) {
  const [width, height, left, right, top, bottom] = [280, 124, 38, 8, 8, 22];
  const most = Math.max(...trend.map(({ comparisons }) => comparisons));
  const least = Math.min(0.5, Math.floor(Math.min(...trend.map(({ low }) => low)) * 4) / 4);
  const x = (comparisons) => left + ((width - left - right) * comparisons) / most;
  const y = (share) => top + ((height - top - bottom) * (1 - share)) / (1 - least);
  const point = (comparisons, share) => `${x(comparisons).toFixed(1)},${y(share).toFixed(1)}`;
  const svg = element("svg", { viewBox: `0 0 ${width} ${height}`, role: "img" });
  svg.setAttribute("aria-label", `Held-out accuracy by comparisons. ${accuracySentence(trend)}`);
  for (let share = least; share <= 1; share += 0.25) {
    svg.append(element("line", { class: "rule", x1: left, x2: width - right, y1: y(share), y2: y(share) }));
    svg.append(label(left - 6, y(share) + 4, "end", percent(share)));
  }
  svg.append(label(left, height - 6, "start", "0"), label(width - right, height - 6, "end", `${most} comparisons`));
  const upper = trend.map((entry) => point(entry.comparisons, entry.high));
  const lower = trend.map((entry) => point(entry.comparisons, entry.low)).reverse();
  svg.append(element("polygon", { class: "band", points: [...upper, ...lower].join(" ") }));
  svg.append(element("polyline", { class: "line", points: trend.map((e) => point(e.comparisons, e.share)).join(" ") }));
  const last = trend.at(-1);
  const [cx, low, high] = [x(last.comparisons), y(last.low), y(last.high)];
  svg.append(element("line", { class: "whisker", x1: cx, x2: cx, y1: low, y2: high }));
  svg.append(element("circle", { class: "dot", cx, cy: y(last.share), r: 3.5 }));
  return svg;
}

function element(name, attributes) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, String(value));
  return node;
}

function label(x, y, anchor, text) {
  const node = element("text", { x, y, "text-anchor": anchor });
  node.textContent = text;
  return node;
}
