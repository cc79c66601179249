/**
 * The designer's seat: shows a question, takes an answer, shows the next.
 *
 * The next question is on the screen as soon as there is an answer, as its videos are there already. The answer is
 * kept in the browser before it is sent, and no other is taken until the service has confirmed it: so nothing is lost,
 * and there is never more than one that could be sent twice.
 */

import { Api, persist } from "./api.js";
import { Stopwatch } from "./clock.js";
import { listen } from "./controls.js";
import { Deck } from "./deck.js";
import { makeDraggable, still } from "./drag.js";
import { legendLine, legendList } from "./keys.js";
import { buildLanes, fillLanes } from "./lanes.js";
import { makeNaming, rememberedName, rememberName } from "./naming.js";
import { Banner, say, showSaved } from "./notices.js";
import { Outbox } from "./outbox.js";
import { Player } from "./player.js";
import { showProgress, showTime, summary } from "./progress.js";
import { Ranking } from "./ranking.js";
import { Videos } from "./videos.js";

const GAP = 10; // pixels between cards
const POLL = { learning: 3_000, quiet: 30_000 }; // ms
const BETTER = { left: [2, 1], right: [1, 2], equal: [1, 1] };
const SAID = { "2,1": "left is better", "1,2": "right is better", "1,1": "equal", "2,2": "equal" };

const at = (id) => /** @type {any} */ (document.getElementById(id));
const [stage, work, lanes] = [at("stage"), at("work"), at("lanes")];

/** @type {import("./api.js").Session} */
let session;
/** @type {Deck | null} */
let deck = null;
/** @type {Deck | null} */
let nextDeck = null;
let ranking = new Ranking({ id: 0, trajectories: [], points: 0, given: null });
/** @type {import("./api.js").Trajectory[]} */
let previous = []; // an undo shows them again
/** @type {import("./outbox.js").Answer | null} */
let sending = null;
let busy = true; // one thing at a time is asked of the service
let dead = false; // the address is no longer valid
let version = 0; // of what is known; a reply that is older than that is dropped

const api = new Api(new URLSearchParams(location.search).get("token") ?? "");
const outbox = new Outbox(storage());
const banner = new Banner(() => outbox.any);
const videos = new Videos(api, (trajectory, error) => banner.fault(`video ${trajectory}`, error));
const stopwatch = new Stopwatch();
const player = new Player(showPlayback);
const naming = makeNaming(() => session?.labeller ?? "", changeName);

const canAnswer = () => Boolean(deck?.ready && !deck.fault && !busy && !dead);
const canSkip = () => Boolean(deck && !busy && !dead);
const canUndo = () => Boolean(session && session.progress.last !== null && !busy && !dead);

/** Ask for something until there is a reply. @template T @param {() => Promise<T>} request @returns {Promise<T>} */
const asking = (request) => persist(request, (error) => banner.fault("request", error));

async function start() {
  const known = rememberedName();
  const first = await asking(() => api.session(known)).catch((error) => {
    if (error.status !== 422) throw error;
    return asking(() => api.session(null)); // a name that is no longer allowed
  });
  const waiting = outbox.waiting(first.store ?? "");
  for (const answer of waiting) await deliver(answer).catch(refused);
  settle(waiting.length ? await asking(() => api.session(first.labeller)) : first);
  if (waiting.length) showSaved("saved");
  if (known !== first.labeller) naming.ask();
}

/** Send an answer until the service has taken or refused it. @param {import("./outbox.js").Answer} answer */
async function deliver(answer) {
  const { store, question, ...body } = answer;
  try {
    // Another tab may have sent it, and there it may have been undone since.
    const request = () => (outbox.holds(answer) ? api.answer(question, body) : api.session(answer.labeller));
    const reply = await asking(request);
    outbox.drop(answer);
    return reply;
  } catch (error) {
    if (error.status !== 401) outbox.drop(answer); // it is refused for good; a valid address may come later
    throw error;
  }
}

/** @param {number[] | null} given null skips */
async function answer(given) {
  if (given ? !canAnswer() : !canSkip()) return say(whyNot());
  const answered = { store: session.store ?? "", question: deck.question.id, labeller: session.labeller };
  sending = { ...answered, points: given, seconds: stopwatch.read() };
  outbox.keep(sending);
  banner.note("");
  rememberName(session.labeller);
  naming.close();
  begin();
  showSaved("saving");
  if (session.next) show(session.next);
  await replied(deliver(sending), given ? `Saved: ${wordsOf(given)}.` : "Skipped.", "saved");
}

async function undo() {
  if (!canUndo()) return say(busy ? whyNot() : "There is nothing to undo.");
  const { last } = session.progress;
  begin();
  await replied(asking(() => api.undo(last, session.labeller)), "Undone: answer again.", "idle");
}

/** @param {string} name */
async function changeName(name) {
  rememberName(name);
  if (name === session.labeller) return;
  if (busy) return banner.note("The name can be changed when the last answer is saved.");
  begin();
  await replied(asking(() => api.session(name)), `Labelling as ${name}.`, "idle");
}

/** Wait for what the service says, and go on from there, whatever it is. */
async function replied(request, words, saved) {
  try {
    const reply = await request;
    sending = null;
    settle(reply);
    showSaved(saved);
    say(words);
  } catch (error) {
    refused(error);
    sending = null;
    if (!dead) settle(await asking(() => api.session(session.labeller)));
  }
}

/** @param {import("./api.js").ApiError} error */
function refused(error) {
  showSaved("idle");
  if (error.status === 401) return die();
  if (error.status === undefined) throw error; // a fault of this page
  const what = error.status === 409 ? "That question was answered already, perhaps in another tab" : error.message;
  banner.note(`Your last answer was not taken: ${what}. Here is what is open now.`);
}

function die() {
  dead = true;
  banner.die();
  showControls();
}

function begin() {
  busy = true;
  version += 1;
  showControls();
}

/** Take what the service says as what is so. @param {import("./api.js").Session} reply */
function settle(reply) {
  session = reply;
  api.store = reply.store ?? "";
  busy = false;
  version += 1;
  at("intent").textContent = reply.intent || "Which is better?";
  at("labeller").textContent = reply.labeller;
  document.body.dataset.mode = reply.mode;
  if (!reply.question || deck?.question.id !== reply.question.id) show(reply.question);
  prepare(reply.next);
  tellProgress(reply.progress);
  showControls();
}

/** Put a question on the screen. @param {import("./api.js").Question | null} question */
function show(question) {
  player.release();
  const old = deck;
  previous = old?.question.trajectories ?? [];
  deck = question && (nextDeck?.question.id === question.id ? nextDeck : makeDeck(question));
  if (nextDeck !== deck) nextDeck?.dispose();
  nextDeck = null;
  const hadFocus = old?.element.contains(document.activeElement) || document.activeElement === document.body;
  old?.dispose();
  at("empty").hidden = Boolean(deck);
  document.body.dataset.empty = String(!deck);
  stage.hidden = !deck;
  stage.dataset.question = deck ? String(deck.question.id) : "";
  stage.dataset.ready = "false";
  if (!deck) return showNothing();
  ranking = new Ranking(deck.question);
  deck.element.classList.remove("waiting");
  lay(deck.question);
  showPoints();
  if (hadFocus && deck.mode === "groups") deck.cards[0].focus({ preventScroll: true });
  if (deck.ready) play(deck);
  else deck.whenReady.then(play.bind(null, deck));
}

/** @param {Deck} ready */
function play(ready) {
  if (ready !== deck) return;
  player.take(deck.videos.filter((_, index) => deck.cards[index].classList.contains("loaded")));
  stopwatch.reset();
  stage.dataset.ready = "true";
  if (deck.mode === "groups") fillLanes(lanes, deck, ranking.points);
  if (deck.fault) say(`${deck.fault}. Skip the question.`);
  showControls();
}

/** Make the next question while this one is looked at. @param {import("./api.js").Question | null} question */
function prepare(question) {
  if (nextDeck && nextDeck.question.id !== question?.id) nextDeck.dispose();
  if (nextDeck?.question.id !== question?.id) nextDeck = question && makeDeck(question);
  const shown = [...previous, ...(deck?.question.trajectories ?? []), ...(question?.trajectories ?? [])];
  videos.keepOnly(new Set(shown.map(({ id }) => id)));
}

/** @param {import("./api.js").Question} question */
function makeDeck(question) {
  const made = new Deck(question, session.mode, videos);
  made.fit(stage.clientWidth, stage.clientHeight, GAP);
  stage.append(made.element);
  return made;
}

/** @param {import("./api.js").Question} question */
function lay(question) {
  stage.dataset.count = String(question.trajectories.length);
  buildLanes(lanes, deck);
  at("hint").replaceChildren(...legendLine(session.mode, question.points));
  at("keys-list").replaceChildren(legendList(session.mode, question.points));
  fitDecks();
}

function fitDecks() {
  for (const each of [deck, nextDeck]) each?.fit(stage.clientWidth, stage.clientHeight, GAP);
  work.style.setProperty("--width", `${deck?.width ?? 0}px`); // buttons of a pair stand under its videos
}

function showNothing() {
  lanes.replaceChildren();
  at("ranking-note").textContent = "";
  at("empty-numbers").textContent = summary(session.progress);
  say("Nothing is left to ask about.");
}

/** Show points, and which card is in focus. */
function showPoints() {
  const { points, missing } = ranking;
  const before = deck.question.given;
  if (deck.mode === "groups") {
    deck.mark(points, ranking.focus);
    fillLanes(lanes, deck, points);
    at("ranking-note").textContent = `${points.length - missing} of ${points.length} have points`;
  } else {
    at("ranking-note").textContent = before ? `Before: ${SAID[before.join()]}` : "";
  }
  showControls();
}

/** @param {number} value @param {number} [index] */
function give(value, index = ranking.focus) {
  if (!canAnswer()) return say(whyNot());
  ranking.give(value, index);
  showChoice();
  const rest = ranking.missing ? `${ranking.missing} without points` : "All have points: Enter sends";
  say(`${deck.nameOf(index)}: ${value} of ${deck.question.points} points. ${rest}.`);
}

function take() {
  if (!canAnswer()) return say(whyNot());
  ranking.take();
  showPoints();
  say(`${deck.nameOf(ranking.focus)}: no points.`);
}

/** Put a card in focus. @param {number} index */
function choose(index) {
  if (!deck) return;
  ranking.choose(index);
  showChoice();
}

/** Who uses the buttons by keyboard stays there; everybody else goes with the card. */
function showChoice() {
  showPoints();
  const active = document.activeElement;
  const free = active === document.body || stage.contains(active) || !active?.isConnected;
  if (free) deck.cards[ranking.focus].focus({ preventScroll: true });
}

function send() {
  if (!canAnswer()) return say(whyNot());
  const { missing } = ranking;
  if (!missing) return answer(ranking.points.map(Number));
  say(`${missing === 1 ? "One trajectory has" : `${missing} trajectories have`} no points yet.`);
}

const wordsOf = (given) => (session.mode === "pairs" ? SAID[given.join()] : `points ${given.join(", ")}`);

function whyNot() {
  if (dead) return "This address is no longer valid.";
  if (busy) return banner.lost ? "Connection lost: wait until your last answer is sent." : "Wait: saving.";
  if (!deck) return "Nothing is left to ask about.";
  return deck.ready ? `${deck.fault}. Skip the question.` : "Wait until the videos are there.";
}

/** Buttons stay in the focus of who uses them by keyboard, so they are marked as off and not taken away. */
function showControls() {
  const complete = deck?.mode !== "groups" || ranking.missing === 0;
  const able = { skip: canSkip(), undo: canUndo(), send: canAnswer() && complete };
  const before = deck?.mode === "pairs" ? String(deck.question.given?.join() ?? "") : "";
  for (const button of at("answers").querySelectorAll("[data-do]")) {
    const command = button.dataset.do;
    button.setAttribute("aria-disabled", String(!(able[command] ?? canAnswer())));
    button.classList.toggle("before", SAID[before] === SAID[String(BETTER[command])] && before !== "");
  }
  work.dataset.busy = String(busy);
}

function showPlayback() {
  at("toggle").textContent = player.paused ? "Play" : "Pause";
  at("speed").textContent = `${player.speed}×`;
}

function tellProgress(progress) {
  session.progress = progress;
  showProgress(progress);
  tellTime();
}

function tellTime() {
  if (session) showTime(session.progress.seconds + (sending?.seconds ?? 0) + (deck ? stopwatch.read() : 0));
}

/** Others label too, and a reward model learns meanwhile. */
async function poll() {
  const known = version;
  try {
    const idle = busy || dead || document.hidden || !session;
    const progress = idle ? null : await api.progress(session.labeller);
    if (progress && known === version) {
      tellProgress(progress);
      showControls();
    }
  } catch {
    // The next answer says whether the connection is lost; numbers that are a little old harm nobody.
  }
  setTimeout(poll, session?.progress.learning ? POLL.learning : POLL.quiet);
}

const commands = {
  left: () => answer(BETTER.left),
  right: () => answer(BETTER.right),
  equal: () => answer(BETTER.equal),
  skip: () => answer(null),
  send,
  undo,
  take,
  previous: () => choose(ranking.focus - 1),
  following: () => choose(ranking.focus + 1),
  above: () => choose(ranking.focus - (deck?.columns ?? 0)),
  below: () => choose(ranking.focus + (deck?.columns ?? 0)),
  toggle: () => player.toggle(),
  back: () => player.step(-1),
  forth: () => player.step(1),
  faster: () => player.faster(1),
  slower: () => player.faster(-1),
  restart: () => player.restart(),
  fullscreen: () => (document.fullscreenElement ? document.exitFullscreen() : work.requestFullscreen()),
  help: () => at("keys").showModal(),
};

listen({
  mode: () => session?.mode ?? null,
  scale: () => deck?.question.points ?? 0,
  command: (name) => commands[name](),
  give,
  choose,
});

makeDraggable({
  handles: ".card, .chip",
  zones: ".lane",
  allowed: (handle) => canAnswer() && (deck?.element.contains(handle) || lanes.contains(handle)),
  picture: (handle) => still(deck.videos[Number(handle.dataset.index)], 96),
  onLift: naming.close, // it lies where things are dropped
  onDrop: (handle, zone) => {
    const index = Number(handle.dataset.index);
    if (session.mode === "groups") give(Number(zone.dataset.points), index);
    else answer(index === 0 ? BETTER.left : BETTER.right);
  },
});

for (const name of ["pointermove", "pointerdown", "keydown", "wheel"]) {
  addEventListener(name, () => stopwatch.move(), { passive: true });
}
document.addEventListener("visibilitychange", () => {
  stopwatch.show(!document.hidden);
  player.show(!document.hidden);
});
for (const link of document.querySelectorAll("[data-link=preferences]")) link.href = api.preferencesLink;
new ResizeObserver(fitDecks).observe(stage);
setInterval(() => deck?.tick(), 100);
setInterval(tellTime, 500);
api.onRefused = die;
start().catch(refused);
setTimeout(poll, POLL.learning);

function storage() {
  try {
    return localStorage;
  } catch {
    return sessionStorage;
  }
}
