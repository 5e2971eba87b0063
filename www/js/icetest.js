/**
 * The ICE test page: asks for the servers, tests each of them alone, and says what it means.
 *
 * Nothing leaves the page but the question for the servers and what the test itself sends to them.
 */

import { checkServer, eachAtMost, serverProblem } from "./icecheck.js";
import { reportText } from "./icereport.js";
import { overallVerdict, serverVerdict } from "./iceverdict.js";
import { ServerCard, byId, showOverall } from "./iceview.js";
import { AnswerError, askServers } from "./turnanswer.js";

/** A test takes up to three connections of this device, and three relays of a server. */
const AT_A_TIME = 3;

/** How long a button says that something was copied. */
const COPIED_MS = 2500;

/**
 * @typedef {object} Entry
 * @property {import("./icecheck.js").Server} server A server of the list.
 * @property {ServerCard} card Where it is shown.
 * @property {import("./icecheck.js").Check | null} check What was found last.
 */

/** @type {Entry[]} The servers in the order in which they are shown: those of the server first. */
let entries = [];

/** Why the server did not tell its servers, the last time. */
let problem = "";

/** Ends the test that is under way; null if none is. */
let running = null;

/** Test everything, or end the test that is under way. */
async function startOrStop() {
  if (running) return running.abort();
  if (!window.RTCPeerConnection) return showProblem("This browser makes no calls: WebRTC is missing or switched off. Allow it, or use another browser.");
  await run(async (signal) => {
    announce("Asking this server for its ICE servers …");
    if (await refresh(signal)) await testAll(entries, signal);
  });
}

/**
 * @param {(signal: AbortSignal) => Promise<void>} work A test.
 */
async function run(work) {
  running = new AbortController();
  byId("start").textContent = "Stop";
  byId("add-server").disabled = true;
  try {
    await work(running.signal);
  } finally {
    running = null;
    byId("start").textContent = "Test again";
    byId("add-server").disabled = false;
  }
}

/**
 * Put the server's list in place of the one before; what a person added stays.
 *
 * @param {AbortSignal} signal Ends it early.
 * @returns {Promise<boolean>} False if there is nothing to test.
 */
async function refresh(signal) {
  const asker = { id: byId("id").value.trim(), token: byId("token").value.trim() };
  let servers = [];
  problem = "";
  try {
    servers = await askServers(asker, signal);
  } catch (error) {
    if (!(error instanceof AnswerError)) throw error;
    if (!signal.aborted) problem = error.message;
  }
  if (signal.aborted) return stopped();
  setEntries([...servers.map(newEntry), ...entries.filter(({ server }) => server.added)]);
  showProblem(problem);
  return entries.length > 0 || nothingToTest();
}

function showProblem(words) {
  byId("problem").hidden = !words;
  byId("problem").textContent = words;
  if (/token|\bid\b/i.test(words)) document.querySelector(".ice-ask details").open = true;
}

/** The server has answered that it has none, or has not answered: an empty list is a result only in the first case. */
function nothingToTest() {
  announce("");
  byId("overall").hidden = Boolean(problem);
  if (!problem) conclude();
  return false;
}

/**
 * @param {Entry[]} tested Which of the list.
 * @param {AbortSignal} signal Ends it early.
 */
async function testAll(tested, signal) {
  let done = 0;
  byId("overall").hidden = true;
  announce(`Testing ${tested.length} ${tested.length === 1 ? "server" : "servers"} …`);
  for (const entry of tested) entry.card.showBusy();
  await eachAtMost(tested, AT_A_TIME, async (entry) => {
    const check = signal.aborted ? null : await checkServer(entry.server, signal);
    if (signal.aborted) return entry.card.showStopped();
    entry.check = check;
    const verdict = serverVerdict(check);
    entry.card.showResult(check, verdict);
    done += 1;
    announce(`${done} of ${tested.length} tested. ${entry.server.url}: ${verdict.short}.`);
  });
  if (signal.aborted) stopped();
  else conclude();
}

function stopped() {
  announce("The test was stopped.");
  return false;
}

/** Say what everything together means. */
function conclude() {
  const overall = judge();
  announce(`Done. ${overall.short}. ${overall.advice}`, true);
}

/** @returns {import("./iceverdict.js").Verdict} What is shown now: it follows from all tests of the list. */
function judge() {
  const checks = entries.map(({ check }) => check).filter(Boolean);
  const overall = overallVerdict(checks);
  const facts = { page: location.host, browser: navigator.userAgent, time: new Date(), problem };
  showOverall(overall);
  byId("report").textContent = reportText(checks, overall, facts);
  return overall;
}

/** Add a server by hand, and test it. */
async function add() {
  const server = { url: byId("url").value.trim(), username: byId("username").value, credential: byId("credential").value, added: true };
  const wrong = serverProblem(server);
  byId("add-problem").textContent = wrong;
  byId("add-problem").hidden = !wrong;
  byId("url").setAttribute("aria-invalid", String(Boolean(wrong)));
  if (wrong) return byId("url").focus();
  const entry = newEntry(server);
  setEntries([...entries, entry]);
  entry.card.node.scrollIntoView({ block: "nearest" });
  await run((signal) => testAll([entry], signal));
  return undefined;
}

/**
 * @param {import("./icecheck.js").Server} server A server for the list.
 * @returns {Entry} It, with its place on the page.
 */
function newEntry(server) {
  const entry = { server, check: null, card: null };
  entry.card = new ServerCard(server, () => remove(entry));
  return entry;
}

function remove(entry) {
  setEntries(entries.filter((each) => each !== entry));
  if (!byId("overall").hidden) judge();
  announce(`${entry.server.url} was removed.`);
  byId("url").focus();
}

function setEntries(list) {
  entries = list;
  byId("servers").replaceChildren(...entries.map(({ card }) => card.node));
  byId("nothing").hidden = entries.length > 0;
}

/**
 * @param {string} words For everybody, and read aloud.
 * @param {boolean} [shown] True if the page shows it elsewhere: it is read aloud only.
 */
function announce(words, shown = false) {
  byId("progress").textContent = words;
  byId("progress").classList.toggle("ice-unseen", shown);
}

/** Where a page may not use the clipboard, the text is shown and selected instead. */
async function copyReport() {
  const report = byId("report");
  try {
    await navigator.clipboard.writeText(report.textContent);
    byId("copy").textContent = "Copied";
    setTimeout(() => (byId("copy").textContent = "Copy report"), COPIED_MS);
    announce("The report was copied.");
  } catch {
    byId("report-details").open = true;
    report.focus();
    getSelection().selectAllChildren(report);
    announce("This browser did not let the page copy: the report is selected now, copy it by hand.");
  }
}

byId("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  startOrStop();
});
byId("add").addEventListener("submit", (event) => {
  event.preventDefault();
  if (!running) add();
});
byId("copy").addEventListener("click", copyReport);
byId("id").value = new URLSearchParams(location.search).get("id")?.slice(0, 128) ?? "";
