/**
 * Wiring: connects the person, the signaling server and the telephone with each other.
 */

import { CallMedia } from "./callmedia.js";
import { CallView } from "./callview.js";
import { IceServers } from "./ice.js";
import { InviteView } from "./inviteview.js";
import { MediaHelp } from "./mediahelp.js";
import { Panel } from "./panel.js";
import { PeerList } from "./peerlist.js";
import { Phone } from "./phone.js";
import { unreachableAdvice } from "./refusal.js";
import { watchNetwork } from "./restart.js";
import { RingTone } from "./ring.js";
import { Settings, describeBrowser, randomId } from "./settings.js";
import { SettingsView } from "./settingsview.js";
import { Signaling } from "./signaling.js";
import { isTextField } from "./typing.js";
import { View } from "./view.js";
import { endingWords, insecureWords, tokenWords } from "./words.js";

/** A call that ended this recently may turn out to have ended because the other side left. */
const RECENT_MS = 3000;

/** Endings that look the same whether the other side pressed a button or went away. */
const MAY_HAVE_LEFT = new Set(["peer-hung-up", "peer-rejected", "peer-cancelled", "peer-gave-up", "connection-lost"]);

/** Endings that a look at the network may explain. */
const NETWORK_TROUBLE = new Set(["no-path", "connection-lost", "peer-gave-up"]);

const ICE_TEST = { href: "ice.html", words: "Test your network" };

const settings = new Settings();
const signaling = new Signaling();
const ice = new IceServers(settings);
const ringTone = new RingTone();
const mediaHelp = new MediaHelp();
const callMedia = new CallMedia(settings, (error, wanted) => mediaHelp.ask(error, wanted));
const phone = new Phone({ signaling, settings, ice, media: callMedia, nameOf, isHere });
const inviteView = new InviteView();
const settingsView = new SettingsView(settings, { place: moved, device: useDevice });
const view = new View(settings, {
  signIn,
  signOut,
  renewId: randomId,
  dial,
  retry: () => signaling.retryNow(),
  settings: () => settingsView.show(),
  place: () => settingsView.showPlace(),
  invite: () => inviteView.show(settings.inviteLink),
});
const peerList = new PeerList(dial);
const callView = new CallView(new Panel(), {
  accept: (wanted) => phone.accept(wanted),
  hangUp: () => phone.hangUp(),
  toggle: (kind) => callMedia.toggle(phone.current, kind),
  toggleScreen: () => callMedia.toggleScreen(phone.current),
  settings: () => settingsView.show({ inCall: true }),
});

/** @type {import("./peerlist.js").Peer[]} Everybody who is signed in, as the server said last. */
let peers = [];

/** @type {{peer: {id: string, name: string}, cause: string, at: number} | null} The call before. */
let lastEnding = null;

/** Whom the link asks to call; once is enough. */
let invitedBy = settings.invitedBy;

/** Whether the place to sign in was changed while a call went on. */
let movesLater = false;

/**
 * @param {string} id Id of a peer.
 * @returns {string} Its name, or the id itself if it is not in the list.
 */
function nameOf(id) {
  return peers.find((peer) => peer.id === id)?.name || id;
}

/**
 * @param {string} id Id of a peer.
 * @returns {boolean} Whether it is signed in, as far as is known.
 */
function isHere(id) {
  return peers.some((peer) => peer.id === id);
}

/**
 * @param {import("./view.js").Entered} entered What the person entered.
 */
function signIn({ id, name, room, password, token }) {
  if (!id) return;
  settings.setIdentity({ id, name });
  if (room !== null && room !== settings.room) settings.setPlace({ server: settings.customServer, room });
  if (password !== null) settings.password = password;
  if (token !== null) settings.token = token;
  view.notify("");
  connect();
}

/**
 * @param {import("./settings.js").TokenFate} fate What has become of a token.
 * @returns {string} What to tell about it.
 */
function wordsOfToken(fate) {
  return tokenWords(fate, location.host, settings.foreignHost || settings.serverUrl);
}

/** Sign in as and where the settings say. */
function connect() {
  const { id, displayName: name, room, password } = settings;
  const identity = { id, name, user_agent: describeBrowser() };
  if (room) identity.room = room;
  if (room && password) identity.password = password;
  signaling.signIn(settings.serverUrl, identity, settings.token);
}

/** Leave, and forget that a reload should come back. */
function signOut() {
  phone.hangUp();
  settings.setSignedIn(false);
  signaling.signOut();
  view.notify("");
  view.screen("signin");
}

/** The settings name another name, room, server or token: go there, but let a call come to its end. */
function moved() {
  history.replaceState(null, "", settings.pageUrl);
  view.showPlace();
  movesLater = Boolean(phone.current);
  if (!movesLater && signaling.active) connect();
}

/**
 * @param {string} id Whom to call.
 * @param {"video" | "audio"} [media] With the camera or without.
 */
function dial(id, media = "video") {
  if (!signaling.online) view.notify("There is no connection to the server at the moment, so nobody can be called.", "problem");
  else if (id === settings.id) view.notify("That is your own id.", "problem");
  else {
    view.notify("");
    phone.dial(id, media);
  }
}

/**
 * @param {unknown} data The server's list.
 */
function showPeers(data) {
  const text = (value) => (typeof value === "string" ? value : "");
  peers = (Array.isArray(data) ? data : [])
    .filter((peer) => typeof peer?.id === "string")
    .map(({ id, name, user_agent: agent }) => ({ id, name: text(name), user_agent: text(agent) }));
  refreshList();
  nameCall();
  const left = lastEnding && performance.now() - lastEnding.at < RECENT_MS && !peers.some(({ id }) => id === lastEnding.peer.id);
  if (left && MAY_HAVE_LEFT.has(lastEnding.cause)) showEnding({ ...lastEnding, cause: "peer-left" });
}

/** Call whoever calls by the name that the list has: it may come after the call. */
function nameCall() {
  const call = phone.current;
  const known = peers.find(({ id }) => id === call?.peer.id);
  if (!known?.name || known.name === call.peer.name) return;
  call.peer.name = known.name;
  callView.introduce(call);
}

/** Bring the list up to date with who is here and whether anybody can be called. */
function refreshList() {
  peerList.show(peers, settings.id, signaling.online && !phone.current?.wanted);
}

/**
 * @param {{peer: {id: string, name: string}, cause: string, why?: string}} ending How a call ended.
 */
function showEnding({ peer, cause, why }) {
  const { tone, words } = endingWords(cause, peer.name, why);
  view.notify(words, tone, NETWORK_TROUBLE.has(cause) ? ICE_TEST : null);
  lastEnding = { peer, cause, at: performance.now() };
}

/**
 * @param {"audio" | "video" | "output"} kind Of what another device was chosen.
 */
function useDevice(kind) {
  if (kind === "output") callView.useSpeaker(settings.speaker);
  else if (phone.current && phone.current.local(kind) !== "none") callMedia.useDevice(phone.current, kind); // what is off stays off
}

/**
 * Put the keyboard where it is of use, unless it is at something that the call interrupted.
 *
 * @param {string} id Who was at the other end.
 * @param {boolean} toCorrect Whether it is at the id that was called.
 */
function focusAfterCall(id, toCorrect) {
  const { activeElement: at } = document;
  const idle = at === document.body || at.id === "people-title"; // where signing in leaves it
  if (toCorrect || (!idle && at.getClientRects().length)) return;
  const typing = isTextField(at); // whose next letter must press no button
  if (typing || !peerList.focus(id)) view.focusTitle();
}

/** We are in: show everybody, and call who invited us. */
function entered() {
  settings.setSignedIn(true);
  view.showSelf();
  view.showPlace();
  callView.showSelf({ id: settings.id, name: settings.displayName });
  callView.useSpeaker(settings.speaker);
  view.settle("server");
  view.screen("people");
  ice.forget(); // a server that was started anew may relay elsewhere
  ice.get(); // so that the first call need not wait for it
}

signaling.addEventListener("message", ({ detail: { type, data } }) => {
  if (type !== "peers") {
    phone.receive(type, data); // it ignores what it does not know
    return;
  }
  showPeers(data);
  if (!invitedBy) return;
  if (!phone.current) dial(invitedBy);
  invitedBy = "";
  settings.forgetInvitation();
  history.replaceState(null, "", settings.pageUrl);
});

signaling.addEventListener("state", ({ detail }) => {
  const { state, words, ask, removed, unreachable } = detail;
  view.showServer(detail);
  callView.showServer(state === "online");
  if (state === "online") {
    entered();
    phone.hurry();
  } else if (state === "waiting") {
    phone.serverLost();
    const { words: advice, link } = unreachableAdvice(settings.serverUrl, location.host);
    if (unreachable && !phone.current) view.notify(advice, "problem", link, "server");
  } else if (state === "refused") {
    if (removed) phone.removed();
    else phone.serverLost();
    settings.setSignedIn(false);
    view.screen("signin");
    view.notify(ask === "id" ? `${words} A new one is filled in below: sign in again to use it.` : words, "problem", null, "server");
    view.ask(ask, randomId());
  }
  refreshList();
});

phone.addEventListener("change", ({ detail: call }) => {
  if (!call || call.over) mediaHelp.dismiss();
  callView.show(call);
  ringTone.set(settings.ringTone && call?.state === "incoming");
  document.title = call ? `${call.state === "incoming" ? "Call from " : ""}${call.peer.name} – Tornado WebRTC` : "Tornado WebRTC";
  refreshList();
});

phone.addEventListener("ended", ({ detail }) => {
  showEnding(detail);
  const { peer, cause, outgoing } = detail;
  const toCorrect = outgoing && view.settleDial(peer.id, cause !== "not-found");
  focusAfterCall(peer.id, toCorrect);
  if (movesLater) moved();
});

phone.addEventListener("missed", ({ detail: { peer } }) => callView.note(`${peer.name} called while you are in this call.`));
callMedia.addEventListener("trouble", ({ detail: words }) => callView.note(words));

watchNetwork(() => {
  signaling.check();
  ice.forget();
  phone.hurry();
});

// the other side need not wait for the network to notice
window.addEventListener("pagehide", () => phone.hangUp());

window.addEventListener("hashchange", () => {
  if (!location.hash) return;
  const fate = settings.takeToken(location.hash);
  if (fate === "taken") moved();
  else history.replaceState(null, "", settings.pageUrl);
  const words = wordsOfToken(fate);
  if (words && phone.current?.wanted) callView.note(words);
  else if (words) view.notify(words, "problem");
});

if (location.hash) history.replaceState(null, "", settings.pageUrl); // a token is not to be bookmarked
const warnings = [window.isSecureContext ? "" : insecureWords(), wordsOfToken(settings.linkedToken)].filter(Boolean);
if (warnings.length) view.notify(warnings.join(" "), "problem");
if (settings.wasSignedIn && !invitedBy) connect(); // nobody is called without a click
