/**
 * Wiring: connects the person, the signaling server and the telephone with each other.
 */

import { CallView } from "./callview.js";
import { IceServers } from "./ice.js";
import { PeerList } from "./peerlist.js";
import { Phone } from "./phone.js";
import { RingTone } from "./ring.js";
import { Settings, describeBrowser, randomId } from "./settings.js";
import { Signaling } from "./signaling.js";
import { View } from "./view.js";
import { endingWords, insecureWords } from "./words.js";

/** A call that ended this recently may turn out to have ended because the other side left. */
const RECENT_MS = 3000;

/** Endings that look the same whether the other side pressed a button or went away. */
const MAY_HAVE_LEFT = new Set(["peer-hung-up", "peer-rejected", "peer-cancelled", "peer-gave-up", "connection-lost"]);

const settings = new Settings();
const signaling = new Signaling();
const ice = new IceServers();
const ringTone = new RingTone();
const phone = new Phone({ signaling, settings, ice, nameOf });
const view = new View(settings, {
  signIn,
  signOut,
  renewId: randomId,
  dial,
  retry: () => signaling.retryNow(),
  change: (choices) => settings.setChoices(choices),
});
const peerList = new PeerList(dial);
const callView = new CallView({
  accept: () => phone.accept(),
  hangUp: () => phone.hangUp(),
  toggle: (kind) => phone.current?.toggle(kind),
});

/** @type {import("./peerlist.js").Peer[]} Everybody who is signed in, as the server said last. */
let peers = [];

/** @type {{peer: {id: string, name: string}, cause: string, at: number} | null} The call before. */
let lastEnding = null;

/**
 * @param {string} id Id of a peer.
 * @returns {string} Its name, or the id itself if it is not in the list.
 */
function nameOf(id) {
  return peers.find((peer) => peer.id === id)?.name || id;
}

/**
 * @param {{id: string, name: string}} identity What the person entered.
 */
function signIn(identity) {
  if (!identity.id) return;
  settings.setIdentity(identity);
  view.notify("");
  signaling.signIn(settings.serverUrl, {
    id: settings.id,
    name: settings.displayName,
    user_agent: describeBrowser(),
  });
}

/** Leave, and forget that a reload should come back. */
function signOut() {
  phone.hangUp();
  settings.setSignedIn(false);
  signaling.signOut();
  view.notify("");
  view.screen("signin");
}

/**
 * @param {string} id Whom to call.
 */
function dial(id) {
  if (!signaling.online) view.notify("There is no connection to the server at the moment, so nobody can be called.", "problem");
  else if (id === settings.id) view.notify("That is your own id.", "problem");
  else {
    view.notify("");
    phone.dial(id);
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
  const left = lastEnding && performance.now() - lastEnding.at < RECENT_MS && !peers.some(({ id }) => id === lastEnding.peer.id);
  if (left && MAY_HAVE_LEFT.has(lastEnding.cause)) showEnding({ ...lastEnding, cause: "peer-left" });
}

/** Bring the list up to date with who is here and whether anybody can be called. */
function refreshList() {
  peerList.show(peers, settings.id, signaling.online && !phone.current);
}

/**
 * @param {{peer: {id: string, name: string}, cause: string, why?: string}} ending How a call ended.
 */
function showEnding({ peer, cause, why }) {
  const { tone, words } = endingWords(cause, peer.name, why);
  view.notify(words, tone);
  lastEnding = { peer, cause, at: performance.now() };
}

signaling.addEventListener("message", ({ detail: { type, data } }) => {
  if (type === "peers") showPeers(data);
  else phone.receive(type, data); // it ignores what it does not know
});

signaling.addEventListener("state", ({ detail }) => {
  const { state, words, newId } = detail;
  view.showServer(detail);
  if (state === "online") {
    settings.setSignedIn(true);
    view.showSelf();
    callView.showSelf({ id: settings.id, name: settings.displayName });
    view.screen("people");
    ice.forget(); // a server that was started anew may relay elsewhere
    ice.get(settings.id); // so that the first call need not wait for it
  } else if (state === "waiting") {
    phone.serverLost();
  } else if (state === "refused") {
    phone.serverLost();
    settings.setSignedIn(false);
    view.screen("signin");
    view.notify(newId ? `${words} A new one is filled in below: sign in again to use it.` : words, "problem");
    if (newId) view.offerId(randomId());
  }
  refreshList();
});

phone.addEventListener("change", ({ detail: call }) => {
  callView.show(call);
  ringTone.set(settings.ringTone && call?.state === "incoming");
  document.title = call ? `${call.state === "incoming" ? "Call from " : ""}${call.peer.name} – Tornado WebRTC` : "Tornado WebRTC";
  refreshList();
});

phone.addEventListener("ended", ({ detail }) => {
  showEnding(detail);
  if (!peerList.focus(detail.peer.id)) view.focusTitle();
});

phone.addEventListener("missed", ({ detail: { peer, busy } }) => {
  view.notify(busy ? `${peer.name} called while you were in a call.` : `${peer.name} asked for a text chat, which this page does not have.`);
});

if (!window.isSecureContext) view.notify(insecureWords(), "problem");
if (settings.wasSignedIn) signIn({ id: settings.id, name: settings.name });
