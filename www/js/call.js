/**
 * One call: an RTCPeerConnection with its local and remote media.
 *
 * It knows nothing about signaling; whoever owns it carries descriptions and candidates.
 *
 * Events:
 *   `candidate`  detail {candidate, sdpMid, sdpMLineIndex}: to be sent to the other side.
 *   `state`      the property `state` has changed.
 *   `remote`     the remote stream has a new track.
 *   `broken`     detail cause: the connection is gone for good ("no-path", "connection-lost", or
 *                "peer-hung-up" when the other side closed it, which may be known before its `bye` is).
 */

import { closeMedia } from "./media.js";
import { RelayWatch } from "./relay.js";

/** No honest client sends more candidates than this before its description. */
const MAX_WAITING_CANDIDATES = 256;

/**
 * @typedef {"preparing" | "incoming" | "ringing" | "connecting" | "connected" | "interrupted" | "ending" | "ended"} CallState
 */

/** One call with one peer. */
export class Call extends EventTarget {
  #connection = null;
  #relays = null;
  #waiting = [];
  #state;

  /**
   * @param {object} options What is known at the start.
   * @param {string} options.sessionId `<caller>-<callee>`.
   * @param {{id: string, name: string}} options.peer The other side.
   * @param {boolean} options.outgoing True if this side calls.
   * @param {RTCSessionDescriptionInit} [options.offer] The other side's offer, of an incoming call.
   */
  constructor({ sessionId, peer, outgoing, offer }) {
    super();
    this.sessionId = sessionId;
    this.peer = peer;
    this.outgoing = outgoing;
    this.remoteOffer = offer ?? null;
    this.localStream = null;
    this.remoteStream = new MediaStream();
    this.connectedAt = 0;
    this.relayOnly = false;
    this.note = "";
    this.#state = outgoing ? "preparing" : "incoming";
  }

  /** @returns {CallState} Where the call stands. */
  get state() {
    return this.#state;
  }

  set state(state) {
    if (this.#state === state || this.#state === "ended") return;
    this.#state = state;
    this.dispatchEvent(new Event("state"));
  }

  /** Whether nothing more can come of this call. */
  get over() {
    return this.#state === "ending" || this.#state === "ended";
  }

  /** @returns {RTCPeerConnection | null} For statistics. */
  get connection() {
    return this.#connection;
  }

  /** @returns {import("./relay.js").RelayTrouble} What has become of the TURN servers. */
  get relayTrouble() {
    return this.#relays?.trouble ?? { found: false, errors: [] };
  }

  /**
   * Make the connection and put the local tracks on it.
   *
   * @param {import("./media.js").LocalMedia} media Open camera and microphone.
   * @param {RTCIceServer[]} iceServers STUN and TURN servers.
   * @param {boolean} relayOnly Use TURN servers only.
   */
  open(media, iceServers, relayOnly) {
    const iceTransportPolicy = relayOnly ? "relay" : "all";
    // one transport for sound and picture, so one allocation on each TURN server: every client can do that
    const connection = new RTCPeerConnection({ iceServers, iceTransportPolicy, bundlePolicy: "max-bundle" });
    this.#connection = connection;
    this.#relays = new RelayWatch(connection, iceServers, () => relayOnly && this.#broken("no-path"));
    this.relayOnly = relayOnly;
    this.localStream = media.stream;
    this.note = media.note;
    connection.onicecandidate = ({ candidate }) => this.#found(candidate);
    connection.onconnectionstatechange = () => this.#follow();
    connection.ontrack = ({ track }) => {
      this.remoteStream.addTrack(track);
      this.dispatchEvent(new Event("remote"));
    };
    for (const track of media.stream.getTracks()) connection.addTrack(track, media.stream);
  }

  /** @returns {Promise<RTCSessionDescriptionInit>} The offer to send. */
  async makeOffer() {
    for (const kind of ["audio", "video"]) {
      // without a camera of our own we still want to see the other side
      if (!this.#tracks(kind).length) this.#connection.addTransceiver(kind, { direction: "recvonly" });
    }
    return this.#describe();
  }

  /** @returns {Promise<RTCSessionDescriptionInit>} The answer to send to the offer that this call came with. */
  async makeAnswer() {
    await this.#acceptRemote(this.remoteOffer);
    return this.#describe();
  }

  /**
   * @param {RTCSessionDescriptionInit} description The other side's answer.
   */
  async acceptAnswer(description) {
    await this.#acceptRemote(description);
  }

  /**
   * Use a candidate of the other side, as soon as its description is there.
   *
   * @param {RTCIceCandidateInit} candidate As it came.
   */
  async addCandidate(candidate) {
    if (!this.#connection?.remoteDescription) {
      if (this.#waiting.length < MAX_WAITING_CANDIDATES) this.#waiting.push(candidate);
      return;
    }
    try {
      const { candidate: line, sdpMid, sdpMLineIndex } = candidate;
      await this.#connection.addIceCandidate({ candidate: line, sdpMid, sdpMLineIndex });
    } catch (error) {
      console.info("A candidate of the other side was not usable:", error.message); // others may be
    }
  }

  /**
   * Whether there is a local track, and whether it is on.
   *
   * @param {"audio" | "video"} kind Microphone or camera.
   * @returns {"on" | "off" | "none"} Its state.
   */
  local(kind) {
    const [track] = this.#tracks(kind);
    if (!track) return "none";
    return track.enabled ? "on" : "off";
  }

  /**
   * Mute or unmute a local track. The track stays: the other side gets silence or black.
   *
   * @param {"audio" | "video"} kind Microphone or camera.
   */
  toggle(kind) {
    for (const track of this.#tracks(kind)) track.enabled = !track.enabled;
    this.dispatchEvent(new Event("state"));
  }

  /** Let go of the connection, the camera and the microphone. */
  close() {
    const connection = this.#connection;
    if (connection) {
      connection.onicecandidate = connection.onconnectionstatechange = connection.ontrack = null;
      connection.close();
    }
    this.#relays?.stop();
    this.#waiting = [];
    closeMedia(this.localStream);
  }

  #tracks(kind) {
    return this.localStream?.getTracks().filter((track) => track.kind === kind) ?? [];
  }

  async #describe() {
    await this.#connection.setLocalDescription();
    this.#watchTransport();
    const { type, sdp } = this.#connection.localDescription;
    return { type, sdp };
  }

  async #acceptRemote({ type, sdp }) {
    await this.#connection.setRemoteDescription({ type, sdp });
    this.#watchTransport();
    for (const candidate of this.#waiting.splice(0)) await this.addCandidate(candidate);
  }

  #found(candidate) {
    if (!candidate?.candidate || this.over) return; // null and "" only say that there are no more
    const { candidate: line, sdpMid, sdpMLineIndex } = candidate;
    this.dispatchEvent(new CustomEvent("candidate", { detail: { sdpMLineIndex, sdpMid, candidate: line } }));
  }

  /** DTLS says at once that the other side closed; ICE only notices the silence, much later. */
  #watchTransport() {
    const transport = this.#connection.getSenders()[0]?.transport;
    if (transport) transport.onstatechange = () => this.#follow();
  }

  #follow() {
    if (this.over) return;
    const dtls = this.#connection.getSenders()[0]?.transport?.state;
    const now = this.#connection.connectionState;
    if (this.connectedAt && dtls === "closed") {
      this.#broken("peer-hung-up");
    } else if (now === "failed" || now === "closed") {
      this.#broken(this.connectedAt ? "connection-lost" : "no-path");
    } else if (now === "connected") {
      this.connectedAt ||= performance.now();
      this.state = "connected";
    } else if (now === "disconnected" && this.connectedAt) {
      this.state = "interrupted";
    }
  }

  #broken(cause) {
    this.dispatchEvent(new CustomEvent("broken", { detail: cause }));
  }
}
