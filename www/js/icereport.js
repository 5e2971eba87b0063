/**
 * The result of a test as text, to be sent to somebody who can help.
 */

import { hostAndPort } from "./gather.js";
import { milliseconds, serverVerdict } from "./iceverdict.js";

/**
 * Say in text what the page shows. User names, passwords and tokens are not in it.
 *
 * @param {import("./icecheck.js").Check[]} checks One for each server.
 * @param {import("./iceverdict.js").Verdict} overall What they mean together.
 * @param {{page: string, browser: string, time: Date, problem: string}} facts Where and when it
 *   was, and why the server did not tell its servers, if so.
 * @returns {string} Lines of text.
 */
export function reportText(checks, overall, { page, browser, time, problem }) {
  const head = [`ICE test of ${page}, ${time.toISOString()}`, browser, ""];
  const said = problem ? [`Asked for its ICE servers: ${problem}`, ""] : [];
  return [...head, ...said, ...verdictLines("Overall", overall), "", ...checks.flatMap(serverLines)].join("\n");
}

/**
 * @param {import("./gather.js").Found} candidate What was found.
 * @returns {string} A line about it.
 */
export function candidateWords({ type, protocol, address, port, related, afterMs }) {
  const behind = related ? `, from ${related}` : "";
  return `${type} ${protocol} ${hostAndPort(address, port)}${behind}, after ${milliseconds(afterMs)}`;
}

function serverLines(check) {
  const { candidates = [], errors = [] } = check.gathering ?? {};
  return [
    ...verdictLines(check.server.url, serverVerdict(check)),
    ...candidates.map((candidate) => `  ${candidateWords(candidate)}`),
    ...errors.map(({ code, text }) => `  error ${code}${text ? ` ${text}` : ""}`),
    "",
  ];
}

function verdictLines(what, { short, long, advice }) {
  return [`${what}: ${short}`, `  ${long}`, ...(advice ? [`  ${advice}`] : [])];
}
