/**
 * One call: an RTCPeerConnection with its local and remote media, a text and a file channel.
 *
 * It knows nothing about signaling; whoever owns it carries descriptions and candidates. There is a
 * line for sound and one for picture from the start, whether or not anything is sent on it: so a
 * camera can be switched on, or a screen shared, without another round of offer and answer, which
 * older clients would take for another call.
 *
 * Events:
 *   `candidate`  detail {candidate, sdpMid, sdpMLineIndex}: to be sent to the other side.
 *   `state`      the property `state`, or something local, has changed.
 *   `remote`     the remote stream has a new track.
 *   `channel`    `chat` or `files` is there now.
 *   `broken`     detail cause: the connection is gone for good ("no-path", "connection-lost", or
 *                "peer-hung-up" when the other side closed it, which may be known before its `bye` is).
 */

import { Chat } from "./chat.js";
import { FileTransfer } from "./filetransfer.js";
import { closeMedia } from "./media.js";
import { RelayWatch } from "./relay.js";
import { sameSide } from "./restart.js";

/** No honest client sends more candidates than this before its description. */
const MAX_WAITING_CANDIDATES = 256;

/** How long the other side has to confirm that a path which seems to be back is one. */
const CONFIRM_S = 5;

/**
 * @typedef {"preparing" | "incoming" | "ringing" | "connecting" | "connected" | "interrupted" | "ending" | "ended"} CallState
 */

/** Labels of our channels. Older clients use others, for text alone. */
const CHAT = "chat";
const FILE = "file";

/** One call with one peer. */
export class Call extends EventTarget {
  #connection = null;
  #screen = null;
  #relays = null;
  #waiting = [];
  #holding = false;
  #state;

  /**
   * @param {object} options What is known at the start.
   * @param {string} options.sessionId `<caller>-<callee>`.
   * @param {{id: string, name: string}} options.peer The other side.
   * @param {boolean} options.outgoing True if this side calls.
   * @param {"video" | "audio" | "data"} options.media What it began as.
   * @param {RTCSessionDescriptionInit} [options.offer] The other side's offer, of an incoming call.
   */
  constructor({ sessionId, peer, outgoing, media, offer }) {
    super();
    this.sessionId = sessionId;
    this.peer = peer;
    this.outgoing = outgoing;
    this.media = media;
    this.remoteOffer = offer ?? null;
    this.localStream = null;
    this.remoteStream = new MediaStream();
    this.connectedAt = 0;
    this.relayOnly = false;

    /** @type {import("./relay.js").RelayTransport} How it reaches TURN servers, also later on. */
    this.relayTransport = "any";
    this.note = "";

    /** Whether the server said that the other side is gone, or is gone itself. */
    this.peerLeft = false;

    /** @type {Chat | null} Text to and from the other side, if it understands that. */
    this.chat = null;

    /** What the other side has switched on, as far as it says so. */
    this.remoteState = { microphone: true, camera: true, screen: false };

    /** @type {FileTransfer | null} Files, likewise. */
    this.files = null;

    /** Whether the person here wants this call: made it, or took it. */
    this.wanted = outgoing;
    this.#state = outgoing ? "preparing" : "incoming";
  }

  /** @returns {CallState} Where the call stands. */
  get state() {
    return this.#state;
  }

  set state(state) {
    if (this.#state === state || this.#state === "ended") return;
    this.#state = state;
    if (state === "preparing") this.wanted = true;
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
    this.localStream = media.stream; // first: closing this call stops it, whatever fails below
    const iceTransportPolicy = relayOnly ? "relay" : "all";
    // one transport for sound and picture, so one allocation on each TURN server: every client can do that
    const connection = new RTCPeerConnection({ iceServers, iceTransportPolicy, bundlePolicy: "max-bundle" });
    this.#connection = connection;
    this.#relays = new RelayWatch(connection, iceServers, () => relayOnly && this.#broken("no-path"));
    this.relayOnly = relayOnly;
    this.note = media.note;
    connection.onicecandidate = ({ candidate }) => this.#found(candidate);
    connection.onconnectionstatechange = () => this.#follow();
    connection.ontrack = ({ track }) => {
      this.remoteStream.addTrack(track);
      this.dispatchEvent(new Event("remote"));
    };
    connection.ondatachannel = ({ channel }) => this.#take(channel);
    for (const track of media.stream.getTracks()) {
      connection.addTrack(track, media.stream);
      track.onended = () => this.#lost(track.kind, track);
    }
  }

  /** @returns {Promise<RTCSessionDescriptionInit>} The offer to send. */
  async makeOffer() {
    for (const kind of ["audio", "video"]) {
      if (!this.#tracks(kind).length) this.#connection.addTransceiver(kind, { direction: "sendrecv", streams: [this.localStream] });
    }
    for (const label of [CHAT, FILE]) this.#take(this.#connection.createDataChannel(label));
    return this.#describe();
  }

  /** @returns {Promise<RTCSessionDescriptionInit>} The answer to send to the offer that this call came with. */
  async makeAnswer() {
    await this.#acceptRemote(this.remoteOffer);
    for (const transceiver of this.#connection.getTransceivers()) {
      if (transceiver.sender.track || transceiver.direction !== "recvonly") continue;
      transceiver.direction = "sendrecv"; // nothing to send yet, but perhaps later
      transceiver.sender.setStreams?.(this.localStream);
    }
    return this.#describe();
  }

  /**
   * @param {RTCSessionDescriptionInit} description The other side's answer.
   */
  async acceptAnswer(description) {
    await this.#acceptRemote(description);
  }

  /** Whether another path may be looked for if this one breaks: the other side must take part. */
  get restartable() {
    return Boolean(this.connectedAt && !this.over && this.chat?.restarts && this.chat.open);
  }

  /**
   * Begin to look for another path.
   *
   * @param {RTCIceServer[]} iceServers STUN and TURN servers of now; empty: those of before.
   * @returns {Promise<RTCSessionDescriptionInit>} The offer to send.
   */
  makeRestart(iceServers) {
    this.#renew(iceServers);
    this.#connection.restartIce();
    return this.#describe();
  }

  /**
   * Take part in looking for another path.
   *
   * The offer is applied before anything is waited for: the candidates that follow belong to it.
   *
   * @param {RTCSessionDescriptionInit} offer The other side's.
   * @param {() => Promise<RTCIceServer[]>} findServers STUN and TURN servers of now; empty: those of before.
   * @returns {Promise<RTCSessionDescriptionInit | null>} The answer to send; null: it came from somebody else.
   */
  async answerRestart(offer, findServers) {
    this.#holding = false;
    if (!sameSide(this.#connection.remoteDescription.sdp, offer.sdp)) {
      this.#waiting = [];
      return null;
    }
    await this.#acceptRemote({ type: "offer", sdp: offer.sdp });
    this.#renew(await findServers());
    return this.#describe();
  }

  /**
   * @param {RTCSessionDescriptionInit} answer The other side's, to the newest restart.
   */
  async acceptRestart(answer) {
    if (!sameSide(this.#connection.remoteDescription.sdp, answer.sdp)) return;
    await this.#acceptRemote({ type: "answer", sdp: answer.sdp });
    this.#follow();
  }

  /**
   * Keep the candidates that come from now on: they belong to an offer that waits for `answerRestart`.
   * Those that were kept for an offer before it are of no use any more.
   */
  holdCandidates() {
    this.#holding = true;
    this.#waiting = [];
  }

  #renew(iceServers) {
    if (iceServers.length) this.#connection.setConfiguration({ ...this.#connection.getConfiguration(), iceServers });
  }

  /**
   * Use a candidate of the other side, as soon as its description is there.
   *
   * @param {RTCIceCandidateInit} candidate As `readCandidate` returned it.
   */
  async addCandidate(candidate) {
    if (this.#holding || !this.#connection?.remoteDescription) {
      if (this.#waiting.length < MAX_WAITING_CANDIDATES) this.#waiting.push(candidate);
      return;
    }
    try {
      await this.#connection.addIceCandidate(candidate);
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
    this.#changed();
  }

  /** Whether our screen is what the other side sees. */
  get sharing() {
    return this.#screen !== null;
  }

  /** @returns {MediaStream | null} What the other side sees of us. */
  get shownStream() {
    return this.#screen ? new MediaStream([this.#screen]) : this.localStream;
  }

  /**
   * Whether the two sides agreed on a line to send something on.
   *
   * @param {"audio" | "video"} kind Sound or picture.
   * @returns {boolean} False before the call is connected.
   */
  canSend(kind) {
    return Boolean(this.connectedAt && !this.over && this.#line(kind)?.currentDirection?.startsWith("send"));
  }

  /**
   * Send another camera or microphone than before, or one where there was none.
   *
   * @param {"audio" | "video"} kind Sound or picture.
   * @param {MediaStreamTrack} track What to send from now on; it belongs to the call then.
   */
  async use(kind, track) {
    if (this.over) {
      track.stop(); // the call ended while the browser was asking for the device
      return;
    }
    const [before] = this.#tracks(kind);
    if (before) {
      track.enabled = before.enabled;
      before.onended = null;
      before.stop();
      this.localStream.removeTrack(before);
    }
    this.localStream.addTrack(track);
    track.onended = () => this.#lost(kind, track); // unplugged, or forbidden by now
    this.note = "";
    if (!(kind === "video" && this.#screen)) await this.#line(kind)?.sender.replaceTrack(track);
    this.#changed();
  }

  /**
   * Send the screen instead of the camera, until `unshare` or until the browser's own button ends it.
   *
   * @param {MediaStreamTrack} screen What to show.
   */
  async share(screen) {
    this.#screen = screen;
    screen.onended = () => this.unshare();
    await this.#line("video").sender.replaceTrack(screen);
    this.#changed();
  }

  /** Send the camera again. */
  async unshare() {
    const screen = this.#screen;
    if (!screen) return;
    this.#screen = null;
    screen.onended = null;
    screen.stop();
    if (!this.over) await this.#line("video").sender.replaceTrack(this.#tracks("video")[0] ?? null);
    this.#changed();
  }

  /** Let go of the connection, the camera, the microphone and the screen. */
  close() {
    const connection = this.#connection;
    if (connection) {
      connection.onicecandidate = connection.onconnectionstatechange = connection.ontrack = connection.ondatachannel = null;
      connection.close();
    }
    this.#relays?.stop();
    this.#waiting = [];
    if (this.#screen) this.#screen.onended = null;
    this.#screen?.stop();
    this.#screen = null;
    closeMedia(this.localStream);
  }

  #lost(kind, track) {
    if (this.over) return;
    this.localStream.removeTrack(track);
    this.note = kind === "video" ? "Your camera has stopped." : "Your microphone has stopped: you are not heard.";
    this.#changed();
  }

  /** Something of ours is different: here, and for the other side. */
  #changed() {
    this.chat?.tell({ microphone: this.local("audio") === "on", camera: this.local("video") === "on", screen: this.sharing });
    this.dispatchEvent(new Event("state"));
  }

  #line(kind) {
    return this.#connection?.getTransceivers().find(({ receiver }) => receiver.track.kind === kind);
  }

  /** Each channel is taken once; what older clients open is for text as it is. */
  #take(channel) {
    if (channel.label !== FILE) {
      if (this.chat) return;
      this.chat = new Chat(channel, channel.label !== CHAT);
      this.chat.addEventListener("ready", () => this.#changed());
      this.chat.addEventListener("state", ({ detail }) => {
        this.remoteState = detail;
        this.dispatchEvent(new Event("state"));
      });
      this.chat.addEventListener("flooded", () => {
        this.note = `${this.peer.name} sends more messages than anybody could read: some of them are not shown.`;
        this.dispatchEvent(new Event("state"));
      });
      this.dispatchEvent(new Event("channel"));
    } else if (channel.readyState === "open") {
      if (this.files) return;
      this.files = new FileTransfer(channel, { maxMessageSize: this.#connection.sctp?.maxMessageSize });
      this.dispatchEvent(new Event("channel"));
    } else {
      channel.addEventListener("open", () => this.#take(channel), { once: true });
    }
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
    if (this.#holding) return; // those that wait belong to the next one
    for (const candidate of this.#waiting.splice(0)) await this.addCandidate(candidate);
  }

  #found(candidate) {
    if (!candidate?.candidate || this.over) return; // null and "" only say that there are no more
    const { candidate: line, sdpMid, sdpMLineIndex } = candidate;
    this.dispatchEvent(new CustomEvent("candidate", { detail: { sdpMLineIndex, sdpMid, candidate: line } }));
  }

  /** DTLS says at once that the other side closed; ICE only notices the silence, much later. */
  #watchTransport() {
    const transport = this.#transport;
    if (transport) transport.onstatechange = () => this.#follow();
  }

  get #transport() {
    return this.#connection.getSenders()[0]?.transport ?? this.#connection.sctp?.transport;
  }

  #follow() {
    if (this.over) return;
    const dtls = this.#transport?.state;
    const now = this.#connection.connectionState;
    if (this.connectedAt && dtls === "closed") {
      this.#broken("peer-hung-up");
    } else if (now === "failed" && dtls !== "failed" && this.restartable) {
      this.state = "interrupted";
    } else if (now === "failed" || now === "closed") {
      this.#broken(this.connectedAt ? "connection-lost" : "no-path");
    } else if (now === "connected") {
      this.#confirm();
    } else if (now === "disconnected" && this.connectedAt) {
      this.state = "interrupted";
    }
  }

  /** Chromium says "connected" as soon as it has offered a restart: what counts then is that the other side answers. */
  async #confirm() {
    if (this.#connection.signalingState !== "stable" && !(await this.chat?.alive(CONFIRM_S))) return;
    if (this.over || this.#connection.connectionState !== "connected") return;
    this.connectedAt ||= performance.now();
    this.state = "connected";
  }

  #broken(cause) {
    this.dispatchEvent(new CustomEvent("broken", { detail: cause }));
  }
}
