/**
 * How good a connection is, measured again and again from its statistics.
 *
 * Browsers differ in what they tell and in where they tell it, and counters begin anew when a
 * path or a stream does: what cannot be known is null, never a guess.
 */

/** A receiver's report that is older says nothing about now. */
const STALE_MS = 10_000;

/**
 * @typedef {object} PathEnd
 * @property {string} type `host`, `srflx`, `prflx` or `relay`; empty if it is not known.
 * @property {string} protocol `udp` or `tcp`; empty if it is not known.
 * @property {string} relayProtocol How the TURN server is reached; empty if there is none.
 * @property {string} [address] Left out where the browser keeps it to itself.
 */

/**
 * @typedef {object} Sample
 * @property {number} time When it was taken, in milliseconds since 1970.
 * @property {number | null} roundTripMs To the other side and back.
 * @property {number} upBitsPerSecond Sent, since the sample before.
 * @property {number} downBitsPerSecond Received, since the sample before.
 * @property {number} mediaUpBitsPerSecond What of that is sound and picture; the rest are files, chat, headers.
 * @property {number} mediaDownBitsPerSecond Likewise.
 * @property {number | null} lossPercent Packets that got lost, of the direction that fares worse.
 * @property {number | null} jitterMs Of the stream that arrives least evenly.
 * @property {boolean | null} relayed Whether either side uses a TURN server.
 * @property {{local: PathEnd, remote: PathEnd} | null} pair The path in use.
 * @property {{codec: string, width: number, height: number, framesPerSecond: number} | null} video
 *   The picture that arrives.
 * @property {{codec: string} | null} audio The sound that arrives.
 */

/** Dispatches `sample`, detail Sample, until it is stopped or the connection closed. */
export class QualityMeter extends EventTarget {
  #connection;
  #intervalMs;
  #before = null;
  #timer = 0;

  /** Which start an answer belongs to: those of an earlier one come too late. */
  #run = 0;

  /**
   * @param {RTCPeerConnection} peerConnection What to measure.
   * @param {{intervalMs?: number}} [options] How often.
   */
  constructor(peerConnection, { intervalMs = 1000 } = {}) {
    super();
    this.#connection = peerConnection;
    this.#intervalMs = intervalMs;
  }

  /** Begin; the first sample comes after one interval, since most of it are differences. */
  start() {
    this.stop();
    this.#before = null;
    this.#measure(this.#run);
  }

  /** End; `start` begins anew. */
  stop() {
    this.#run += 1;
    clearTimeout(this.#timer);
  }

  async #measure(run) {
    let stats = null;
    try {
      stats = await this.#connection.getStats();
    } catch {
      // some browsers refuse while the connection changes; there is a next time
    }
    if (run !== this.#run || this.#connection.connectionState === "closed") return;
    if (stats && this.#before) this.dispatchEvent(new CustomEvent("sample", { detail: readSample(stats, this.#before) }));
    this.#before = stats ?? this.#before;
    if (run === this.#run) this.#timer = setTimeout(() => this.#measure(run), this.#intervalMs);
  }
}

/**
 * Compare two reports of one connection.
 *
 * @param {RTCStatsReport} stats The newer one.
 * @param {RTCStatsReport} before The older one.
 * @returns {Sample} What happened in between, and what is so now.
 */
export function readSample(stats, before) {
  const report = new Report(stats, before);
  const pair = selectedPair(report);
  const ends = pair && readEnds(report, pair);
  return {
    time: performance.timeOrigin + performance.now(),
    roundTripMs: readRoundTrip(report, pair),
    upBitsPerSecond: readBits(report, "Sent", "outbound-rtp"),
    downBitsPerSecond: readBits(report, "Received", "inbound-rtp"),
    mediaUpBitsPerSecond: readMediaBits(report, "Sent", "outbound-rtp"),
    mediaDownBitsPerSecond: readMediaBits(report, "Received", "inbound-rtp"),
    lossPercent: readLoss(report),
    jitterMs: milliseconds(most(report.inbound.map(({ jitter }) => jitter))),
    relayed: ends && [ends.local.type, ends.remote.type].includes("relay"),
    pair: ends,
    video: readVideo(report),
    audio: readAudio(report),
  };
}

/** Two reports, and what has grown from one to the other. */
class Report {
  #before;

  constructor(stats, before) {
    this.stats = stats;
    this.entries = [...stats.values()];
    this.#before = before;
    this.inbound = this.all("inbound-rtp");
  }

  all(type) {
    return this.entries.filter((entry) => entry.type === type);
  }

  /** By how much a counter has grown: from nothing if the entry is new, or was begun anew; NaN without counter. */
  growth(entry, counter) {
    const now = entry[counter];
    const then = this.#before.get(entry.id)?.[counter] ?? 0;
    return Number.isFinite(now) ? (now >= then ? now - then : now) : NaN;
  }

  /** The growth of a count that may rightly fall: duplicates make `packetsLost` smaller. */
  change(entry, counter) {
    const then = this.#before.get(entry.id);
    const restarted = then && entry.packetsReceived < then.packetsReceived;
    return entry[counter] - ((restarted ? null : then?.[counter]) ?? 0);
  }

  /** Seconds from the older report to this entry; NaN if time stood still. */
  seconds(entry) {
    const then = this.#before.get(entry.id)?.timestamp ?? this.#beforeTime;
    const passed = (entry.timestamp - then) / 1000;
    return passed > 0 ? passed : NaN;
  }

  get #beforeTime() {
    return Math.max(...[...this.#before.values()].map(({ timestamp }) => timestamp));
  }
}

/**
 * The pair that carries the media: named by the transport, or, where that is not told, marked itself.
 *
 * @param {Report} report Two reports.
 * @returns {any} The pair's entry, or null.
 */
function selectedPair(report) {
  const named = report.all("transport").find(({ selectedCandidatePairId }) => selectedCandidatePairId);
  const pairs = report.all("candidate-pair");
  return report.stats.get(named?.selectedCandidatePairId)
    ?? pairs.find(({ selected }) => selected)
    ?? pairs.find(({ nominated, state }) => nominated && state === "succeeded")
    ?? null;
}

function readEnds({ stats }, pair) {
  const local = stats.get(pair.localCandidateId);
  const remote = stats.get(pair.remoteCandidateId);
  return local && remote ? { local: readEnd(local), remote: readEnd(remote) } : null;
}

function readEnd({ candidateType, protocol, relayProtocol, address, ip }) {
  const known = address ?? ip; // `ip` is its older name
  return {
    type: LEGACY_TYPES[candidateType] ?? candidateType ?? "",
    protocol: (protocol ?? "").toLowerCase(),
    relayProtocol: (relayProtocol ?? "").toLowerCase(),
    ...(known ? { address: known } : {}),
  };
}

/** What older Safari and Firefox call the types. */
const LEGACY_TYPES = { serverreflexive: "srflx", peerreflexive: "prflx", relayed: "relay" };

/** The last check of the path; else the mean of its checks; else what the other side's reports say of the media. */
function readRoundTrip(report, pair) {
  if (Number.isFinite(pair?.currentRoundTripTime)) return milliseconds(pair.currentRoundTripTime);
  const mean = pair ? report.growth(pair, "totalRoundTripTime") / report.growth(pair, "responsesReceived") : NaN;
  if (Number.isFinite(mean)) return milliseconds(mean);
  return milliseconds(most(report.all("remote-inbound-rtp").filter(isFresh(report)).map(({ roundTripTime }) => roundTripTime)));
}

/** Transports count everything; where they do not, pairs do; else the streams do, without their headers. */
function readBits(report, direction, streams) {
  const counter = `bytes${direction}`;
  for (const type of ["transport", "candidate-pair"]) {
    const counting = report.all(type).filter((entry) => Number.isFinite(entry[counter]));
    if (counting.length) return sumRates(report, counting, counter);
  }
  return readMediaBits(report, direction, streams);
}

function readMediaBits(report, direction, streams) {
  return sumRates(report, report.all(streams), `bytes${direction}`);
}

function sumRates(report, entries, counter) {
  const rates = entries.map((entry) => (8 * report.growth(entry, counter)) / report.seconds(entry));
  return rates.filter(Number.isFinite).reduce((total, rate) => total + rate, 0);
}

function readLoss(report) {
  const lost = report.inbound.reduce((total, entry) => total + (report.change(entry, "packetsLost") || 0), 0);
  const received = report.inbound.reduce((total, entry) => total + (report.growth(entry, "packetsReceived") || 0), 0);
  const expected = Math.max(lost, 0) + received;
  const down = expected > 0 ? Math.max(lost, 0) / expected : NaN;
  const up = report.all("remote-inbound-rtp").filter(isFresh(report)).map(({ fractionLost }) => fractionLost);
  const worst = most([down, ...up]);
  return worst === null ? null : Math.min(100 * worst, 100);
}

/** Reports of the other side stay in the statistics when no more come. */
function isFresh({ entries }) {
  const now = Math.max(...entries.map(({ timestamp }) => timestamp));
  return ({ timestamp }) => now - timestamp < STALE_MS;
}

function readVideo(report) {
  const stream = busiest(report, "video");
  if (!stream) return null;
  const counted = report.growth(stream, "framesDecoded") / report.seconds(stream);
  return {
    codec: codecOf(report, stream),
    width: stream.frameWidth ?? 0,
    height: stream.frameHeight ?? 0,
    framesPerSecond: Math.round(stream.framesPerSecond ?? (Number.isFinite(counted) ? counted : 0)),
  };
}

function readAudio(report) {
  const stream = busiest(report, "audio");
  return stream && { codec: codecOf(report, stream) };
}

/** The stream of a kind that most came of; the older name of `kind` is `mediaType`. */
function busiest(report, kind) {
  const streams = report.inbound.filter((entry) => (entry.kind ?? entry.mediaType) === kind);
  const growth = (entry) => report.growth(entry, "bytesReceived") || 0;
  return streams.reduce((best, entry) => (best && growth(best) >= growth(entry) ? best : entry), null);
}

function codecOf({ stats }, { codecId }) {
  return stats.get(codecId)?.mimeType?.split("/")[1] ?? "";
}

function most(numbers) {
  const known = numbers.filter(Number.isFinite);
  return known.length ? Math.max(...known) : null;
}

function milliseconds(seconds) {
  return seconds === null ? null : seconds * 1000;
}
