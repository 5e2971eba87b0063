// Two ends of a real data channel, and what tests of file transfers do with them.

window.lab = {
  async channels() {
    const ends = [new RTCPeerConnection(), new RTCPeerConnection()];
    ends.forEach((end, index) => {
      end.onicecandidate = ({ candidate }) => ends[1 - index].addIceCandidate(candidate);
    });
    const near = ends[0].createDataChannel("file");
    near.binaryType = "arraybuffer";
    const arrived = new Promise((resolve) => {
      ends[1].ondatachannel = ({ channel }) => resolve(channel);
    });
    await ends[0].setLocalDescription();
    await ends[1].setRemoteDescription(ends[0].localDescription);
    await ends[1].setLocalDescription();
    await ends[0].setRemoteDescription(ends[1].localDescription);
    const far = await arrived;
    await Promise.all([near, far].map(lab.opened));
    const { maxMessageSize } = ends[0].sctp;
    return { near, far, ends, maxMessageSize, close: () => ends.forEach((end) => end.close()) };
  },

  opened: (channel) => channel.readyState === "open" || new Promise((resolve) => {
    channel.onopen = resolve;
  }),

  // Waits for an event of a transfer.
  until: (target, type, wanted = () => true) => new Promise((resolve) => {
    target.addEventListener(type, ({ detail }) => wanted(detail) && resolve(detail));
  }),

  // Waits for the next message of a channel.
  next: (channel) => new Promise((resolve) => {
    channel.addEventListener("message", resolve, { once: true });
  }),

  log(target, into = []) {
    for (const type of ["offered", "accepted", "rejected", "progress", "done", "failed"]) {
      target.addEventListener(type, ({ detail: { blob, ...detail } }) => into.push([type, detail]));
    }
    return into;
  },

  // What arrives at an end: messages, or the length of those that are binary.
  raw(channel) {
    const messages = [];
    channel.binaryType = "arraybuffer";
    channel.addEventListener("message", ({ data }) => {
      messages.push(typeof data === "string" ? JSON.parse(data) : data.byteLength);
    });
    return messages;
  },

  // What was sent before has arrived when this resolves: the channel keeps the order.
  async settled(from, to) {
    const mark = `"mark ${Math.random()}"`;
    const seen = new Promise((resolve) => {
      to.addEventListener("message", ({ data }) => data === mark && resolve());
    });
    from.send(mark);
    await seen;
  },

  bytes(length, seed = 1) {
    const made = new Uint8Array(length);
    for (let at = 0, value = seed; at < length; at += 1) {
      value = (Math.imul(value, 1664525) + 1013904223) | 0;
      made[at] = value >>> 24;
    }
    return made;
  },

  async digest(data) {
    const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", data));
    return Array.from(hash, (byte) => byte.toString(16).padStart(2, "0")).join("");
  },

  chunk(id, bytes) {
    return new Uint8Array([...id.match(/../g).map((pair) => parseInt(pair, 16)), ...bytes]);
  },
};
