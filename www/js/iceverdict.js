/**
 * What tests of ICE servers mean, in plain words, and what to do about it.
 */

import { serverProblem, wayTo } from "./icecheck.js";
import { UNREACHABLE } from "./relay.js";

/** Error codes of STUN and TURN (RFC 8489 section 14.8, RFC 8656 section 19). */
const ERRORS = new Map([
  [300, "sends this browser to another server"],
  [400, "did not understand the browser"],
  [401, "did not accept the user name and password"],
  [403, "does not allow it"],
  [437, "mixed up two requests of this browser"],
  [438, "found the browser's request too old"],
  [440, "has no address of the family that was asked for"],
  [441, "did not accept the user name and password"],
  [442, "does not relay this transport"],
  [486, "gives this user no more room: a limit for one user or address is reached"],
  [500, "had an internal error"],
  [508, "is full, or has no free port left"],
]);

const WAYS = { udp: "UDP", tcp: "TCP", tls: "TLS", dtls: "DTLS" };

/**
 * @typedef {object} Verdict
 * @property {"good" | "warn" | "bad"} tone How bad it is.
 * @property {string} short A few words.
 * @property {string} long What was found.
 * @property {string} advice What to do; empty if there is nothing to do.
 */

/**
 * @param {number} code Of `icecandidateerror`.
 * @returns {string} What a server with this code did, to follow “it”.
 */
export function errorWords(code) {
  if (code === UNREACHABLE) return "was not reached";
  return ERRORS.get(code) ?? "refused";
}

/**
 * @param {import("./icecheck.js").Check} check One server's test.
 * @returns {Verdict} What it means.
 */
export function serverVerdict(check) {
  const { gathering, relays, server } = check;
  if (!gathering) return bad("not usable", serverProblem(server) || "This browser does not take this server.", "Correct it in the configuration that names this server.");
  if (!gathering.candidates.length && !gathering.errors.length) return nothingFound(gathering);
  return relays ? turnVerdict(check) : stunVerdict(check);
}

/**
 * What all tests together mean for calls.
 *
 * @param {import("./icecheck.js").Check[]} checks One for each server.
 * @returns {Verdict} The answer to “will calls work?”.
 */
export function overallVerdict(checks) {
  const relays = checks.filter((check) => check.relays);
  const working = relays.filter(({ roundTripMs }) => roundTripMs !== null);
  if (working.some(isDatagram)) return relayed(relays, working);
  if (working.length) return streamOnly(relays, working);
  return noRelay(checks, relays);
}

function relayed(relays, working) {
  const fastest = Math.min(...working.map(({ roundTripMs }) => roundTripMs));
  const long = `Where two browsers find no direct way to each other, a TURN server relays between them. Through it and back takes ${milliseconds(fastest)} from here.`;
  const advice = [];
  if (working.length < relays.length) advice.push(`${relays.length - working.length} of ${relays.length} TURN addresses do not work: see below.`);
  if (working.every(isDatagram)) advice.push("Networks that let no UDP out need TURN over TCP or TLS as well.");
  if (!working.every(isHere)) return { tone: "good", short: "Works", long, advice: advice.join(" ") };
  advice.push("Clients are told an address that leads each of them to itself: for others than this computer, [turn] public_ip has to name one that they reach.");
  return { tone: "warn", short: "Works on this computer only", long, advice: advice.join(" ") };
}

function streamOnly(relays, working) {
  const ways = [...new Set(working.map(({ server }) => WAYS[wayTo(server.url).transport]))].join(" and ");
  const blocked = relays.filter(isDatagram).map(({ server }) => wayTo(server.url).port);
  const advice = blocked.length
    ? `Open UDP port ${[...new Set(blocked)].join(", ")} in the firewall of the server. If it is open there, it is this network that lets no UDP out.`
    : "None of these servers offers TURN over UDP: switch it on at the server.";
  return {
    tone: "warn",
    short: "Works only over TCP",
    long: `Calls that need a relay get one over ${ways} alone. There, one lost packet holds up all that follow: sound and picture may stutter.`,
    advice,
  };
}

function noRelay(checks, relays) {
  const reflexive = checks.some(({ gathering }) => gathering?.candidates.some(({ type }) => type === "srflx"));
  const direct = reflexive ? " This browser's public address is known, so many other calls will find a direct way." : "";
  const advice = relays.length
    ? "What each TURN server needs stands below. A network that blocks everything but web pages has the same effect: test from another network, too."
    : "Calls need a TURN server: switch on the one of this server, or name another in its configuration.";
  const found = relays.length ? "No TURN server relays for this browser." : "There is no TURN server in the list.";
  return bad("No relay: calls between some networks will fail", `${found}${direct}`, advice);
}

/** Whether a server's address is that of whatever computer asks. */
function isHere({ server }) {
  return /^(?:127\..*|localhost|\[::1\])$/.test(wayTo(server.url).host);
}

function isDatagram({ server }) {
  const { transport } = wayTo(server.url);
  return transport === "udp" || transport === "dtls";
}

function nothingFound({ complete }) {
  if (!complete) return bad("no answer", "Nothing came from this server in time.", "Test again, and look at the firewall in between.");
  return bad("no network", "This browser has no network that it may use for calls.", "Connect to a network. If there is one, an extension or a policy of this browser may forbid it.");
}

function stunVerdict({ gathering, server }) {
  const { candidates, errors, complete, firstMs } = gathering;
  if (candidates.some(({ type }) => type === "srflx")) {
    return good("works", `It told this browser its public address after ${milliseconds(firstMs)}.`);
  }
  if (errors.length) return failure(errors, server.url);
  if (!complete) return failure([{ code: UNREACHABLE }], server.url);
  return good("works", "It answered without an error, and showed no other address: between it and this browser there is no NAT.");
}

function turnVerdict({ gathering, server, roundTripMs, refusal }) {
  const { candidates, errors, complete } = gathering;
  const relay = candidates.find(({ type }) => type === "relay");
  if (relay && roundTripMs !== null) {
    return good("works", `It gave a relayed address after ${milliseconds(relay.afterMs)}, and relays: through it and back in ${milliseconds(roundTripMs)}.`);
  }
  if (relay && refusal) return bad(`refused (${refusal})`, `It gave a relayed address, but then ${errorWords(refusal)} (error ${refusal}).`, remedy(refusal));
  if (relay) {
    const advice = "Open its relay ports for UDP in the firewall of the server (relay_ports, 49152 to 65535 unless its configuration says otherwise). Behind a NAT, check its public_ip as well.";
    return bad("does not relay", "It gave a relayed address, but nothing that was sent through it came back.", advice);
  }
  if (errors.length) return failure(errors, server.url);
  if (!complete) return failure([{ code: UNREACHABLE }], server.url);
  const dtls = wayTo(server.url).transport === "dtls" ? " Not every browser knows TURN over DTLS." : "";
  return bad("not reachable", "It gave no relayed address, and the browser does not say why.", `${openPort(server.url)}${dtls}`);
}

/** A server is tried from every address of this machine: a refusal says more than a path that does not exist. */
function failure(errors, url) {
  const { code, text = "" } = errors.find((error) => error.code !== UNREACHABLE) ?? errors[0];
  if (/lookup|resol/i.test(text)) return bad("not reachable", "Its name was not found.", "Check the name, and whether this network can resolve names.");
  if (code === UNREACHABLE) return bad("not reachable", `It ${errorWords(code)}: no answer came from there.`, openPort(url));
  return bad(`refused (${code})`, `It answered, but ${errorWords(code)} (error ${code}).`, remedy(code));
}

function remedy(code) {
  if (code === 401 || code === 441) {
    return "Check user name and password. If this server handed them out itself, its secret or its clock differs from that of the TURN server.";
  }
  if (code === 486) return "Wait a minute for older tests and calls to end, or raise the limits for one user and address.";
  if (code === 508) return "Free ports come back when calls end; give it a larger range (relay_ports) if this happens often.";
  return "The log of the TURN server says more.";
}

function openPort(url) {
  const host = /^\w+:(\[[^\]]*\]|[^:?]*)/.exec(url)?.[1] ?? "";
  const local = "Check that the server runs and that its name is right.";
  if (/^stun/i.test(url)) {
    const port = /:(\d+)$/.exec(url)?.[1] ?? (/^stuns/i.test(url) ? "5349" : "3478");
    return `${local} Open ${/^stuns/i.test(url) ? "TCP" : "UDP"} port ${port} to ${host} in every firewall in between.`;
  }
  const { transport, port } = wayTo(url);
  const kind = transport === "udp" || transport === "dtls" ? "UDP" : "TCP";
  const certificate = transport === "tls" ? " Its certificate has to be valid for that name." : "";
  return `${local} Open ${kind} port ${port} to ${host} in every firewall in between.${certificate}`;
}

function good(short, long) {
  return { tone: "good", short, long, advice: "" };
}

function bad(short, long, advice) {
  return { tone: "bad", short, long, advice };
}

/**
 * @param {number} duration In milliseconds.
 * @returns {string} The same for people.
 */
export function milliseconds(duration) {
  return duration < 1 ? "less than 1\u00a0ms" : `${Math.round(duration)}\u00a0ms`;
}
