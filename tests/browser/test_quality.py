"""Measurements of a connection: of a real one, and of what other browsers say of theirs."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.browser.modulepage import ModulePage, module_page
from tests.browser.serverprocess import ServerAddress

Entry = dict[str, Any]


@pytest.fixture(scope="module")
def page(browser: Browser, server: ServerAddress) -> Iterator[ModulePage]:
    with module_page(browser, server.url) as opened:
        yield opened


READ = """({ readSample }, [now, before]) => {
  const report = (entries) => new Map(entries.map((entry) => [entry.id, entry]));
  return readSample(report(now), report(before));
}"""


def sample(page: ModulePage, now: list[Entry], before: list[Entry] | None = None) -> Entry:
    """Compare two reports that are one second apart."""
    late = [{"timestamp": 11_000, **entry} for entry in now]
    early = [{"timestamp": 10_000, **entry} for entry in before or []]
    read: Entry = page.run("quality", READ, [late, early])
    return read


def pair(local: str = "host", remote: str = "host", **facts: Any) -> list[Entry]:
    """Return a pair of candidates as a browser reports it."""
    ends = {"localCandidateId": "L", "remoteCandidateId": "R"}
    return [
        {"id": "P", "type": "candidate-pair", **ends, "state": "succeeded", **facts},
        {"id": "L", "type": "local-candidate", "candidateType": local, "protocol": "udp"},
        {"id": "R", "type": "remote-candidate", "candidateType": remote, "protocol": "udp"},
    ]


def inbound(kind: str = "video", name: str = "I", **facts: Any) -> Entry:
    return {"id": name, "type": "inbound-rtp", "kind": kind, **facts}


def transport(**facts: Any) -> Entry:
    return {"id": "T", "type": "transport", **facts}


def test_a_report_that_says_nothing_gives_a_sample_that_claims_nothing(page: ModulePage) -> None:
    read = sample(page, [])
    assert read.pop("time") > 1_700_000_000_000
    assert read == {
        "roundTripMs": None,
        "upBitsPerSecond": 0,
        "downBitsPerSecond": 0,
        "mediaUpBitsPerSecond": 0,
        "mediaDownBitsPerSecond": 0,
        "lossPercent": None,
        "jitterMs": None,
        "relayed": None,
        "pair": None,
        "video": None,
        "audio": None,
    }


def test_rates_come_from_the_transport_and_its_time(page: ModulePage) -> None:
    before = [transport(bytesSent=1000, bytesReceived=5000)]
    now = [transport(bytesSent=3000, bytesReceived=5500, timestamp=12_000)]
    read = sample(page, [*now, *pair(bytesSent=99_999)], before)
    assert (read["upBitsPerSecond"], read["downBitsPerSecond"]) == (8000, 2000)


def test_without_transport_the_pairs_are_added_up(page: ModulePage) -> None:
    other = {"id": "Q", "type": "candidate-pair", "bytesSent": 100, "bytesReceived": 0}
    before = [*pair(bytesSent=1000, bytesReceived=0), other]
    now = [*pair(bytesSent=2000, bytesReceived=500), {**other, "bytesSent": 350}]
    read = sample(page, now, before)
    assert (read["upBitsPerSecond"], read["downBitsPerSecond"]) == (10_000, 4000)


def test_without_either_the_streams_are_added_up(page: ModulePage) -> None:
    out = {"id": "O", "type": "outbound-rtp", "bytesSent": 1000}
    now = [{**out, "bytesSent": 2000}, inbound(bytesReceived=100), inbound("audio", "J")]
    read = sample(page, now, [out, inbound(bytesReceived=0)])
    assert (read["upBitsPerSecond"], read["downBitsPerSecond"]) == (8000, 800)


def test_a_file_does_not_count_as_media(page: ModulePage) -> None:
    out = {"id": "O", "type": "outbound-rtp", "bytesSent": 1000}
    before = [transport(bytesSent=0, bytesReceived=0), out, inbound(bytesReceived=0)]
    totals = transport(bytesSent=9_000_000, bytesReceived=5_000_000, timestamp=12_000)
    now = [totals, {**out, "bytesSent": 2000, "timestamp": 11_000}, inbound(bytesReceived=100)]
    read = sample(page, now, before)
    assert (read["upBitsPerSecond"], read["downBitsPerSecond"]) == (36_000_000, 20_000_000)
    assert (read["mediaUpBitsPerSecond"], read["mediaDownBitsPerSecond"]) == (8000, 800)


def test_a_counter_that_begins_anew_gives_no_negative_rate(page: ModulePage) -> None:
    read = sample(page, [transport(bytesSent=300)], [transport(bytesSent=1_000_000)])
    assert read["upBitsPerSecond"] == 2400


def test_an_entry_that_is_new_counts_from_nothing(page: ModulePage) -> None:
    read = sample(page, [transport(bytesSent=300)], [inbound()])
    assert read["upBitsPerSecond"] == 2400


def test_two_reports_of_one_moment_give_no_rate(page: ModulePage) -> None:
    read = sample(page, [transport(bytesSent=300, timestamp=10_000)], [transport(bytesSent=100)])
    assert read["upBitsPerSecond"] == 0


@pytest.mark.parametrize(
    ("now", "before", "round_trip"),
    [
        (pair(nominated=True, currentRoundTripTime=0.05), [], 50),
        (pair(nominated=True, currentRoundTripTime=0), [], 0),
        (
            pair(nominated=True, totalRoundTripTime=1.0, responsesReceived=10),
            pair(totalRoundTripTime=0.7, responsesReceived=5),
            60,
        ),
        (pair(nominated=True, totalRoundTripTime=1.0, responsesReceived=10), "same", None),
        ([{"id": "X", "type": "remote-inbound-rtp", "roundTripTime": 0.12}], [], 120),
        (
            [
                {"id": "X", "type": "remote-inbound-rtp", "roundTripTime": 0.12, "timestamp": 500},
                transport(),
            ],
            [],
            None,
        ),
    ],
)
def test_the_round_trip_comes_from_where_a_browser_tells_it(
    page: ModulePage, now: list[Entry], before: Any, round_trip: float | None
) -> None:
    read = sample(page, now, now if before == "same" else before)
    expected = None if round_trip is None else pytest.approx(round_trip)
    assert read["roundTripMs"] == expected


def remote(fraction: float, **facts: Any) -> Entry:
    return {"id": "X", "type": "remote-inbound-rtp", "fractionLost": fraction, **facts}


@pytest.mark.parametrize(
    ("now", "before", "loss"),
    [
        (
            [inbound(packetsLost=15, packetsReceived=190)],
            [inbound(packetsLost=5, packetsReceived=100)],
            10,
        ),
        (
            [inbound(packetsLost=3, packetsReceived=200)],
            [inbound(packetsLost=5, packetsReceived=100)],
            0,
        ),
        (
            [inbound(packetsLost=1, packetsReceived=9)],
            [inbound(packetsLost=50, packetsReceived=900)],
            10,
        ),
        ([inbound(packetsLost=5, packetsReceived=100)], "same", None),
        ([remote(0.25)], [], 25),
        ([remote(0)], [], 0),
        ([remote(7)], [], 100),
        ([remote(0.25, timestamp=500), transport()], [], None),
        ([remote(0.02), inbound(packetsLost=1, packetsReceived=9)], [], 10),
        ([remote(0.2), inbound(packetsLost=1, packetsReceived=9)], [], 20),
        ([inbound(packetsReceived=9)], [], 0),
        (
            [
                inbound(packetsLost=5, packetsReceived=45),
                inbound("audio", "J", packetsLost=5, packetsReceived=45),
            ],
            [],
            10,
        ),
    ],
)
def test_loss_is_that_of_the_worse_direction(
    page: ModulePage, now: list[Entry], before: Any, loss: float | None
) -> None:
    read = sample(page, now, now if before == "same" else before)
    assert read["lossPercent"] == (None if loss is None else pytest.approx(loss))


def test_jitter_is_that_of_the_least_even_stream(page: ModulePage) -> None:
    read = sample(page, [inbound(jitter=0.004), inbound("audio", "J", jitter=0.011)])
    assert read["jitterMs"] == pytest.approx(11)


@pytest.mark.parametrize(
    ("local", "remote_type", "relayed"),
    [
        ("host", "srflx", False),
        ("relay", "host", True),
        ("prflx", "relay", True),
        ("relayed", "serverreflexive", True),
    ],
)
@pytest.mark.parametrize("mark", ["transport", "nominated", "selected"])
def test_the_pair_in_use_is_found_in_every_browser(
    page: ModulePage, local: str, remote_type: str, relayed: bool, mark: str
) -> None:
    marks: dict[str, Entry] = {"nominated": {"nominated": True}, "selected": {"selected": True}}
    unused = {"id": "0", "type": "candidate-pair", "state": "failed", "localCandidateId": "R"}
    entries = [unused, *pair(local, remote_type, **marks.get(mark, {}))]
    if mark == "transport":
        entries.append(transport(selectedCandidatePairId="P"))
    read = sample(page, entries)
    assert read["relayed"] is relayed
    legacy = {"relayed": "relay", "serverreflexive": "srflx"}
    assert read["pair"]["local"]["type"] == legacy.get(local, local)
    assert read["pair"]["remote"]["type"] == legacy.get(remote_type, remote_type)


def test_both_ends_of_the_pair_are_described_as_far_as_they_are_known(page: ModulePage) -> None:
    entries = pair("relay", nominated=True)
    entries[1] |= {"relayProtocol": "TCP", "address": "192.0.2.1"}
    entries[2] |= {"ip": "192.0.2.2", "protocol": None, "address": None}
    assert sample(page, entries)["pair"] == {
        "local": {
            "type": "relay",
            "protocol": "udp",
            "relayProtocol": "tcp",
            "address": "192.0.2.1",
        },
        "remote": {"type": "host", "protocol": "", "relayProtocol": "", "address": "192.0.2.2"},
    }


def test_a_pair_without_its_candidates_is_not_known(page: ModulePage) -> None:
    read = sample(page, pair(nominated=True)[:1])
    assert (read["pair"], read["relayed"]) == (None, None)


def test_the_picture_is_that_of_the_busiest_stream(page: ModulePage) -> None:
    codec = {"id": "C", "type": "codec", "mimeType": "video/VP9"}
    size: Entry = {"frameWidth": 1280, "frameHeight": 720, "codecId": "C"}
    now = [
        inbound(name="idle", bytesReceived=900_000, framesPerSecond=1),
        inbound(name="busy", bytesReceived=200_000, framesPerSecond=29.6, **size),
        codec,
    ]
    before = [
        inbound(name="idle", bytesReceived=900_000),
        inbound(name="busy", bytesReceived=100_000),
    ]
    video = {"codec": "VP9", "width": 1280, "height": 720, "framesPerSecond": 30}
    assert sample(page, now, before)["video"] == video


def test_frames_are_counted_where_the_browser_does_not(page: ModulePage) -> None:
    before = [{"id": "I", "type": "inbound-rtp", "mediaType": "video", "framesDecoded": 100}]
    read = sample(page, [{**before[0], "framesDecoded": 124}], before)
    assert read["video"] == {"codec": "", "width": 0, "height": 0, "framesPerSecond": 24}


def test_the_sound_has_a_codec(page: ModulePage) -> None:
    codec = {"id": "C", "type": "codec", "mimeType": "audio/opus"}
    read = sample(page, [inbound("audio", codecId="C"), codec])
    assert (read["audio"], read["video"]) == ({"codec": "opus"}, None)


CONNECT = """
  const connect = async () => {
    const ends = [new RTCPeerConnection(), new RTCPeerConnection()];
    ends.forEach((end, index) => {
      end.onicecandidate = ({ candidate }) => ends[1 - index].addIceCandidate(candidate);
    });
    const stream = await navigator.mediaDevices.getUserMedia({ audio: true, video: true });
    stream.getTracks().forEach((track) => ends[0].addTrack(track, stream));
    await ends[0].setLocalDescription();
    await ends[1].setRemoteDescription(ends[0].localDescription);
    await ends[1].setLocalDescription();
    await ends[0].setRemoteDescription(ends[1].localDescription);
    return { ends, close: () => {
      ends.forEach((end) => end.close());
      stream.getTracks().forEach((track) => track.stop());
    } };
  };
  const sampleOf = (meter, wanted) => new Promise((resolve) => {
    meter.addEventListener("sample", ({ detail }) => wanted(detail) && resolve(detail));
  });
"""


def test_a_real_call_is_measured(page: ModulePage) -> None:
    script = f"""async ({{ QualityMeter }}) => {{
      {CONNECT}
      const call = await connect();
      const meterOf = (end) => new QualityMeter(end, {{ intervalMs: 100 }});
      const [sender, receiver] = call.ends.map(meterOf);
      const sent = sampleOf(sender, (each) => each.upBitsPerSecond > 50_000
        && each.lossPercent !== null);
      const received = sampleOf(receiver, (each) => each.video?.framesPerSecond > 5
        && each.downBitsPerSecond > 50_000 && each.audio && each.jitterMs !== null);
      sender.start();
      receiver.start();
      const samples = await Promise.all([sent, received]);
      sender.stop();
      receiver.stop();
      call.close();
      return samples;
    }}"""
    sent, received = page.run("quality", script)
    assert 0 <= received["roundTripMs"] < 1000
    assert received["video"]["width"] > 0
    assert received["video"]["height"] > 0
    assert received["video"]["codec"] == "VP8"
    assert received["audio"]["codec"] == "opus"
    assert received["relayed"] is False
    assert received["pair"]["local"]["protocol"] == "udp"
    assert sent["video"] is None
    assert 0 <= sent["lossPercent"] <= 100


def test_samples_end_with_stop_and_with_the_connection(page: ModulePage) -> None:
    script = f"""async ({{ QualityMeter }}) => {{
      {CONNECT}
      const call = await connect();
      const [stopped, closed] = call.ends.map((end) => new QualityMeter(end, {{ intervalMs: 20 }}));
      const counts = [0, 0];
      stopped.addEventListener("sample", () => (counts[0] += 1));
      closed.addEventListener("sample", () => (counts[1] += 1));
      const first = [stopped, closed].map((meter) => sampleOf(meter, () => true));
      stopped.start();
      stopped.start();
      closed.start();
      await Promise.all(first);
      stopped.stop();
      call.ends[1].close();
      const before = [...counts];
      const third = new QualityMeter(call.ends[0], {{ intervalMs: 20 }});
      let more = 0;
      const later = sampleOf(third, () => (more += 1) === 10);
      third.start();
      await later;
      third.stop();
      call.close();
      return [before, counts];
    }}"""
    before, after = page.run("quality", script)
    assert before == after
    assert min(before) >= 1


def test_a_browser_that_refuses_once_is_asked_again(page: ModulePage) -> None:
    script = """async ({ QualityMeter }) => {
      let asked = 0;
      const connection = { connectionState: "connected", getStats: async () => {
        asked += 1;
        if (asked === 2) throw new DOMException("not now", "InvalidStateError");
        const [timestamp, bytesSent] = [asked * 1000, asked * 1000];
        return new Map([["T", { id: "T", type: "transport", timestamp, bytesSent }]]);
      } };
      const meter = new QualityMeter(connection, { intervalMs: 5 });
      const sample = new Promise((resolve) => {
        meter.addEventListener("sample", ({ detail }) => resolve(detail));
      });
      meter.start();
      const { upBitsPerSecond } = await sample;
      meter.stop();
      return [asked, upBitsPerSecond];
    }"""
    assert page.run("quality", script) == [3, 8000]
