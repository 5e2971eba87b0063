/**
 * Behaves on the wire as the older Flutter clients do, written from the contract.
 *
 * It answers an offer only when its person accepts, sends its candidates a second late, and
 * leaves the call screen only when a `bye` comes from the server, its own echo included.
 */
class LegacyClient {
  constructor(id) {
    this.id = id;
    this.log = [];
    this.sessions = new Map();
    this.state = "idle";
  }

  connect(url) {
    this.socket = new WebSocket(url);
    this.socket.onmessage = ({ data }) => this.receive(JSON.parse(data));
    return new Promise((resolve, reject) => {
      this.socket.onerror = () => reject(new Error(`no connection to ${url}`));
      this.socket.onopen = () => {
        this.send("new", { name: "Old phone", id: this.id, user_agent: "flutter-webrtc/android-plugin 0.0.1" });
        resolve();
      };
    });
  }

  send(type, data) {
    this.socket.send(JSON.stringify({ type, data }));
  }

  async open(sessionId, peer, delay, media = true) {
    const connection = new RTCPeerConnection({ iceServers: [] });
    const session = { sessionId, peer, connection };
    this.sessions.set(sessionId, session);
    connection.onicecandidate = ({ candidate }) => {
      if (!candidate) return;
      const { sdpMLineIndex, sdpMid, candidate: line } = candidate;
      const data = { to: peer, from: this.id, candidate: { sdpMLineIndex, sdpMid, candidate: line }, session_id: sessionId };
      setTimeout(() => this.send("candidate", data), delay);
    };
    connection.ontrack = ({ track, streams }) => {
      if (track.kind !== "video") return;
      this.video = Object.assign(document.createElement("video"), { srcObject: streams[0], muted: true, autoplay: true });
      document.body.append(this.video);
    };
    connection.ondatachannel = ({ channel }) => this.listen(channel);
    if (!media) return session;
    const stream = await navigator.mediaDevices.getUserMedia({ audio: true, video: { facingMode: "user" } });
    for (const track of stream.getTracks()) connection.addTrack(track, stream);
    return session;
  }

  /** With candidatesFirst, they overtake the offer. */
  async invite(peer, { candidatesFirst = false } = {}) {
    const sessionId = `${this.id}-${peer}`;
    const { connection } = await this.open(sessionId, peer, candidatesFirst ? 0 : 1000);
    const { sdp, type } = await connection.createOffer();
    await connection.setLocalDescription({ sdp, type });
    if (candidatesFirst) await new Promise((resolve) => setTimeout(resolve, 1000));
    this.state = "inviting";
    this.send("offer", { to: peer, from: this.id, description: { sdp, type }, session_id: sessionId, media: "video" });
  }

  async accept() {
    const [{ sessionId, peer, connection }] = this.sessions.values();
    const { sdp, type } = await connection.createAnswer();
    await connection.setLocalDescription({ sdp, type });
    this.send("answer", { to: peer, from: this.id, description: { sdp, type }, session_id: sessionId });
    this.state = "connected";
  }

  /** Their text chat is a call of its own, with a channel of their own and nothing else. */
  async inviteToChat(peer) {
    const sessionId = `${this.id}-${peer}`;
    const { connection } = await this.open(sessionId, peer, 0, false);
    this.listen(connection.createDataChannel("fileTransfer"));
    const { sdp, type } = await connection.createOffer();
    await connection.setLocalDescription({ sdp, type });
    this.send("offer", { to: peer, from: this.id, description: { sdp, type }, session_id: sessionId, media: "data" });
  }

  listen(channel) {
    this.channel = channel;
    this.texts ??= [];
    channel.onmessage = ({ data }) => this.texts.push(data);
  }

  bye() {
    for (const sessionId of this.sessions.keys()) this.send("bye", { session_id: sessionId, from: this.id });
  }

  async receive({ type, data }) {
    if (type) this.log.push(type);
    const session = this.sessions.get(data?.session_id);
    if (type === "offer") {
      const { connection } = await this.open(data.session_id, data.from, 1000);
      await connection.setRemoteDescription(data.description);
      this.state = "ringing";
      for (const candidate of session?.early ?? []) await connection.addIceCandidate(candidate);
    } else if (type === "answer") {
      await session.connection.setRemoteDescription(data.description);
      this.state = "connected";
    } else if (type === "candidate") {
      if (session?.connection?.remoteDescription) await session.connection.addIceCandidate(data.candidate);
      else if (session) (session.early ??= []).push(data.candidate);
    } else if (type === "bye" && session) {
      session.connection.close();
      this.sessions.delete(data.session_id);
      this.state = "idle";
    }
  }
}

window.legacy = new LegacyClient("424242");
