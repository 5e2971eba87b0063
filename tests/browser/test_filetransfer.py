"""Files over real data channels: whole ones, broken ones, and a peer that means no good."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.browser.modulepage import ModulePage, module_page
from tests.browser.serverprocess import ServerAddress

MIB = 1024 * 1024
ID = "00112233445566ff"

LIBRARY = Path(__file__).with_name("filelab.js")


@pytest.fixture(scope="module")
def page(browser: Browser, server: ServerAddress) -> Iterator[ModulePage]:
    with module_page(browser, server.url) as opened:
        opened.page.evaluate(LIBRARY.read_text())
        yield opened


def run(page: ModulePage, body: str, argument: Any = None) -> Any:
    """Run statements with `FileTransfer`, the two ends of a channel, and `id`."""
    script = f"""async ({{ FileTransfer, failureWords }}, argument) => {{
      const {{ until, next, log, raw, settled, bytes, digest, chunk, channels }} = window.lab;
      const {{ near, far, ends, maxMessageSize, close }} = await channels();
      const id = "{ID}";
      try {{ {body} }} finally {{ close(); }}
    }}"""
    return page.run("filetransfer", script, argument)


@pytest.mark.parametrize("size", [0, 1, 64 * 1024 - 8, MIB, 9 * MIB + 17])
def test_a_file_arrives_whole_and_verified(page: ModulePage, size: int) -> None:
    body = """
      const sender = new FileTransfer(near, { maxMessageSize });
      const receiver = new FileTransfer(far);
      const data = bytes(argument);
      receiver.addEventListener("offered", ({ detail }) => receiver.accept(detail.id));
      const [ups, downs] = [log(sender), log(receiver)];
      const done = Promise.all([until(sender, "done"), until(receiver, "done")]);
      const id = sender.offer(new File([data], "Grüße.png", { type: "image/png" }));
      const [up, { blob, ...down }] = await done;
      const same = await digest(await blob.arrayBuffer()) === await digest(data);
      const checksum = await digest(data);
      return { id, up, down, ups, downs, same, type: blob.type, size: blob.size, checksum };
    """
    got = run(page, body, size)
    assert got["same"]
    assert got["size"] == size
    assert got["type"] == "image/png"
    ends = {"id": got["id"], "checksum": got["checksum"], "verified": True}
    assert got["up"] == {**ends, "direction": "up"}
    assert got["down"] == {**ends, "direction": "down"}
    offered = {"id": got["id"], "name": "Grüße.png", "size": size, "type": "image/png"}
    assert got["downs"][0] == ["offered", offered]
    assert got["ups"][0] == ["accepted", {"id": got["id"]}]
    for events, direction in ((got["ups"], "up"), (got["downs"], "down")):
        progress = [detail for kind, detail in events if kind == "progress"]
        assert [each["transferred"] for each in progress[-1:]] == ([size] if size else [])
        moved = [each["transferred"] for each in progress]
        assert moved == sorted(set(moved))
        assert all(each["size"] == size for each in progress)
        assert all(each["direction"] == direction for each in progress)
        assert all(each["bytesPerSecond"] >= 0 for each in progress)


def test_several_files_at_once_in_both_directions(page: ModulePage) -> None:
    body = """
      const ends = [near, far].map((channel) => new FileTransfer(channel, { maxMessageSize }));
      const sums = new Map();
      const order = [];
      const arrived = [];
      const all = new Promise((resolve) => ends.forEach((end) => {
        end.addEventListener("offered", ({ detail }) => end.accept(detail.id));
        end.addEventListener("progress", ({ detail }) => {
          if (detail.direction === "down") order.push(detail.id);
        });
        end.addEventListener("done", async ({ detail: { id, blob } }) => {
          if (!blob) return;
          arrived.push([id, await digest(await blob.arrayBuffer())]);
          if (arrived.length === 6) resolve();
        });
      }));
      const files = [];
      for (let number = 0; number < 6; number += 1) {
        const data = bytes(3 * 1024 * 1024 + number, number);
        files.push([new File([data], `${number}.bin`), await digest(data)]);
      }
      files.forEach(([file, sum], number) => sums.set(ends[number % 2].offer(file), sum));
      await all;
      return { right: arrived.every(([id, sum]) => sums.get(id) === sum), order, count: sums.size };
    """
    got = run(page, body)
    assert got["right"]
    assert got["count"] == 6
    firsts = [got["order"].index(each) for each in set(got["order"])]
    lasts = [len(got["order"]) - 1 - got["order"][::-1].index(each) for each in set(got["order"])]
    assert max(firsts) < min(lasts), "every file began before any was complete"


def test_the_file_is_read_as_the_channel_takes_it(page: ModulePage) -> None:
    body = """
      const receiver = new FileTransfer(far);
      receiver.addEventListener("offered", ({ detail }) => receiver.accept(detail.id));
      const file = new File([bytes(24 * 1024 * 1024)], "big");
      const slices = [];
      let most = 0;
      const slice = file.slice.bind(file);
      file.slice = (start, end) => { slices.push(end - start); return slice(start, end); };
      file.arrayBuffer = () => { throw new Error("read whole"); };
      const send = near.send.bind(near);
      const lengths = new Set();
      near.send = (data) => {
        send(data);
        most = Math.max(most, near.bufferedAmount);
        lengths.add(data.byteLength ?? 0);
      };
      const sender = new FileTransfer(near);
      const done = until(sender, "done");
      sender.offer(file);
      await done;
      return { most, slices, longest: Math.max(...lengths) };
    """
    got = run(page, body)
    assert max(got["slices"]) <= MIB
    assert len(got["slices"]) == 24
    assert got["most"] < 2 * MIB
    assert got["longest"] == 16 * 1024, "what RFC 8831 asks for when nothing else is known"


@pytest.mark.parametrize(
    ("size", "longest"), [(1200, 1200), (0, 64 * 1024), ("Infinity", 64 * 1024), (MIB, 64 * 1024)]
)
def test_no_message_is_longer_than_the_other_side_takes(
    page: ModulePage, size: Any, longest: int
) -> None:
    body = """
      const sizes = raw(far);
      const sender = new FileTransfer(near, { maxMessageSize: Number(argument) });
      const id = sender.offer(new File([bytes(200_000)], "a"));
      const accepted = until(sender, "accepted");
      far.send(JSON.stringify({ type: "accept", id }));
      await accepted;
      while (sizes.at(-1)?.type !== "end") await next(far);
      return Math.max(...sizes.filter(Number.isFinite));
    """
    assert run(page, body, size) == longest


def test_an_offer_may_be_rejected(page: ModulePage) -> None:
    body = """
      const [sender, receiver] = [new FileTransfer(near), new FileTransfer(far)];
      receiver.addEventListener("offered", ({ detail }) => {
        receiver.reject(detail.id);
        receiver.accept(detail.id);
        receiver.reject(detail.id);
      });
      const events = [log(sender), log(receiver)];
      const rejected = until(sender, "rejected");
      const id = sender.offer(new File(["x"], "a"));
      await rejected;
      await settled(far, near);
      return [id, ...events];
    """
    transfer, sent, received = run(page, body)
    assert sent == [["rejected", {"id": transfer, "reason": "rejected"}]]
    assert [kind for kind, _ in received] == ["offered"]


@pytest.mark.parametrize("who", ["sender", "receiver"])
@pytest.mark.parametrize("when", ["offered", "progress"])
def test_either_side_may_cancel_at_any_time(page: ModulePage, who: str, when: str) -> None:
    body = """
      const ends = { sender: new FileTransfer(near), receiver: new FileTransfer(far) };
      const [who, when] = argument;
      const failed = Promise.all([until(ends.sender, "failed"), until(ends.receiver, "failed")]);
      ends.receiver.addEventListener("offered", ({ detail }) => {
        if (when === "offered") ends[who].cancel(detail.id);
        else ends.receiver.accept(detail.id);
      });
      ends[who].addEventListener("progress", ({ detail }) => ends[who].cancel(detail.id));
      const events = [log(ends.sender), log(ends.receiver)];
      const id = ends.sender.offer(new File([bytes(8 * 1024 * 1024)], "a"));
      const reasons = (await failed).map(({ reason }) => reason);
      ends[who].cancel(id);
      await settled(near, far);
      await settled(far, near);
      const isEnding = ([kind]) => kind === "failed" || kind === "done";
      return [reasons, events.map((each) => each.filter(isEnding).length)];
    """
    reasons, endings = run(page, body, [who, when])
    mine, theirs = ("cancelled", "peer-cancelled")
    assert reasons == ([mine, theirs] if who == "sender" else [theirs, mine])
    assert endings == [1, 1]


@pytest.mark.parametrize("how", ["close", "channel", "connection"])
def test_the_end_of_the_channel_ends_every_transfer(page: ModulePage, how: str) -> None:
    body = """
      const [sender, receiver] = [new FileTransfer(near), new FileTransfer(far)];
      const failed = Promise.all([until(sender, "failed"), until(receiver, "failed")]);
      receiver.addEventListener("offered", ({ detail }) => receiver.accept(detail.id));
      sender.addEventListener("progress", () => {
        if (argument === "close") sender.close();
        else if (argument === "channel") near.close();
        else {
          ends[0].close();
          sender.close();
        }
      }, { once: true });
      sender.offer(new File([bytes(8 * 1024 * 1024)], "a"));
      const reasons = (await failed).map(({ reason }) => reason);
      let refusal = "";
      try { sender.offer(new File([], "b")); } catch (error) { refusal = error.name; }
      receiver.close();
      sender.close();
      return [reasons, refusal];
    """
    reasons, refusal = run(page, body, how)
    assert reasons == ["channel-closed"] * 2
    assert refusal == "InvalidStateError"


def test_a_file_that_cannot_be_read_any_more(page: ModulePage) -> None:
    body = """
      const [sender, receiver] = [new FileTransfer(near), new FileTransfer(far)];
      receiver.addEventListener("offered", ({ detail }) => receiver.accept(detail.id));
      const failed = Promise.all([until(sender, "failed"), until(receiver, "failed")]);
      const file = new File([bytes(3_000_000)], "a");
      const slice = file.slice.bind(file);
      file.slice = (start, end) => start ? new Blob([argument]) : slice(start, end);
      sender.offer(file);
      return (await failed).map(({ reason }) => reason);
    """
    assert run(page, body, "shorter than it was") == ["unreadable"] * 2


HOSTILE = """
  const receiver = new FileTransfer(far);
  const events = log(receiver);
  const answers = raw(near);
  const textOf = (message) => typeof message === "string" ? message : JSON.stringify(message);
  const tell = (message) => near.send(textOf(message));
  const honest = { type: "offer", id, name: "a.txt", size: 10, mime: "text/plain" };
  const offer = (more) => tell({ ...honest, ...more });
  const accepted = async () => { await settled(near, far); receiver.accept(id); };
"""


@pytest.mark.parametrize(
    "message",
    [
        "",
        "{",
        "null",
        "7",
        '"offer"',
        "[]",
        "{}",
        '{"type": "offer"}',
        '{"type": "offer", "id": "../../etc/passwd0", "size": 1, "name": "a"}',
        '{"type": "offer", "id": ["00112233445566ff"], "size": 1, "name": "a"}',
        '{"type": "offer", "id": "00112233445566ff", "name": "a"}',
        '{"type": "offer", "id": "00112233445566ff", "name": "a", "size": -1}',
        '{"type": "offer", "id": "00112233445566ff", "name": "a", "size": 1.5}',
        '{"type": "offer", "id": "00112233445566ff", "name": "a", "size": "9"}',
        '{"type": "offer", "id": "00112233445566ff", "name": "a", "size": 1e300}',
        '{"type": "__proto__", "id": "00112233445566ff"}',
        '{"type": "accept", "id": "00112233445566ff"}',
        '{"type": "end", "id": "00112233445566ff"}',
        '{"type": "received", "id": "00112233445566ff"}',
        '{"type": "cancel", "id": "00112233445566ff"}',
        '{"type": "offer", "id": "00112233445566ff", "size": 1, "name": "' + "a" * 9000 + '"}',
        "[" * 5000,
    ],
)
def test_what_is_no_message_is_ignored(page: ModulePage, message: str) -> None:
    body = f"{HOSTILE} tell(argument); await settled(near, far); return [events, answers];"
    assert run(page, body, message) == [[], []]


@pytest.mark.parametrize("length", [0, 1, 7, 8, 9, 60_000])
def test_chunks_of_no_transfer_are_ignored(page: ModulePage, length: int) -> None:
    body = (
        f"{HOSTILE} near.send(bytes(argument)); await settled(near, far); return [events, answers];"
    )
    assert run(page, body, length) == [[], []]


@pytest.mark.parametrize("early", ["chunk", "end"])
def test_data_before_it_is_accepted_ends_the_transfer(page: ModulePage, early: str) -> None:
    body = f"""{HOSTILE}
      offer({{}});
      if (argument === "chunk") near.send(chunk(id, [1]));
      else tell({{ type: "end", id }});
      await accepted();
      await settled(far, near);
      return [events.slice(1), answers];
    """
    events, answers = run(page, body, early)
    assert events == [["failed", {"id": ID, "direction": "down", "reason": "protocol"}]]
    assert answers[0] == {"type": "cancel", "id": ID, "reason": "protocol"}


@pytest.mark.parametrize(
    ("chunks", "checksum", "reason"),
    [
        ([11], None, "too-much-data"),
        ([9, 2], None, "too-much-data"),
        ([10, 1], None, "too-much-data"),
        ([9], None, "incomplete"),
        ([], None, "incomplete"),
        ([10], "0" * 64, "checksum"),
    ],
)
def test_a_file_that_is_not_what_was_offered_fails(
    page: ModulePage, chunks: list[int], checksum: str | None, reason: str
) -> None:
    body = f"""{HOSTILE}
      const [lengths, checksum] = argument;
      offer({{}});
      await accepted();
      for (const length of lengths) near.send(chunk(id, bytes(length)));
      tell({{ type: "end", id, checksum }});
      await settled(near, far);
      await settled(far, near);
      return [events.filter(([kind]) => kind !== "progress").slice(1), answers];
    """
    events, answers = run(page, body, [chunks, checksum])
    assert events == [["failed", {"id": ID, "direction": "down", "reason": reason}]]
    assert {"type": "cancel", "id": ID, "reason": reason} in answers
    assert not any(isinstance(each, dict) and each.get("type") == "received" for each in answers)


def test_a_sender_without_checksum_is_not_verified(page: ModulePage) -> None:
    body = f"""{HOSTILE}
      offer({{}});
      await accepted();
      for (let count = 0; count < 10; count += 1) near.send(chunk(id, [count]));
      near.send(chunk(id, []));
      tell({{ type: "end", id, checksum: 7 }});
      await settled(near, far);
      return events.at(-1);
    """
    kind, detail = run(page, body)
    assert kind == "done"
    assert detail["verified"] is False
    assert detail["checksum"] == hashlib.sha256(bytes(range(10))).hexdigest()


def test_offers_are_limited_at_once_and_in_time(page: ModulePage) -> None:
    body = f"""{HOSTILE}
      const idOf = (number) => number.toString(16).padStart(16, "0");
      for (let number = 0; number < 40; number += 1) offer({{ id: idOf(number) }});
      await settled(near, far);
      const atOnce = events.length;
      for (let number = 0; number < 16; number += 1) tell({{ type: "cancel", id: idOf(number) }});
      for (let number = 100; number < 300; number += 1) {{
        offer({{ id: idOf(number) }});
        tell({{ type: "cancel", id: idOf(number) }});
      }}
      await settled(near, far);
      await settled(far, near);
      const refused = answers.filter(({{ reason }}) => reason === "busy");
      return [atOnce, events.filter(([kind]) => kind === "offered").length, refused.length];
    """
    at_once, in_all, refused = run(page, body)
    assert at_once == 16
    assert in_all == 16 + (100 - 40)
    assert refused == (40 - 16) + (200 - 60)


def test_an_offer_cannot_take_the_place_of_another(page: ModulePage) -> None:
    body = f"""{HOSTILE}
      const mine = receiver.offer(new File(["x"], "mine"));
      offer({{ id: mine }});
      offer({{}});
      offer({{ name: "b.txt", size: 999 }});
      await settled(near, far);
      return events.map(([kind, {{ name, size }}]) => [kind, name, size]);
    """
    assert run(page, body) == [["offered", "a.txt", 10]]


def test_a_file_beyond_the_limit_is_refused_without_asking(page: ModulePage) -> None:
    body = """
      const receiver = new FileTransfer(far, { maxFileBytes: 100 });
      const sender = new FileTransfer(near);
      const events = log(receiver);
      const rejected = until(sender, "rejected");
      sender.offer(new File([bytes(101)], "a"));
      return [(await rejected).reason, failureWords((await rejected).reason), events];
    """
    reason, words, events = run(page, body)
    assert (reason, events) == ("too-large", [])
    assert words == "The file is larger than the other side takes."


@pytest.mark.parametrize("given", ["cancelled", "<b>", None, "toString"])
def test_the_other_side_cannot_put_words_into_our_mouth(page: ModulePage, given: Any) -> None:
    body = f"""{HOSTILE}
      offer({{}});
      tell({{ type: "cancel", id, reason: argument }});
      await settled(near, far);
      return [events.at(-1)[1].reason, failureWords(argument)];
    """
    reason, words = run(page, body, given)
    assert reason == "peer-cancelled"
    assert words == ("You stopped it." if given == "cancelled" else "The transfer failed.")


def test_answers_that_nobody_asked_for_do_nothing(page: ModulePage) -> None:
    body = f"""{HOSTILE}
      const mine = receiver.offer(new File([bytes(10)], "mine"));
      tell({{ type: "received", id: mine, checksum: "{"0" * 64}" }});
      tell({{ type: "end", id: mine }});
      near.send(chunk(mine, [1, 2]));
      tell({{ type: "accept", id: mine }});
      tell({{ type: "accept", id: mine }});
      tell({{ type: "reject", id: mine }});
      while (answers.at(-1)?.type !== "end") await next(near);
      tell({{ type: "received", id: mine, checksum: "{"0" * 64}" }});
      await settled(near, far);
      const chunks = answers.filter((each) => each === 18).length;
      return [chunks, events.map(([kind, {{ reason }}]) => [kind, reason ?? ""])];
    """
    chunks, events = run(page, body)
    assert chunks == 1
    assert [each for each in events if each[0] != "progress"] == [
        ["accepted", ""],
        ["failed", "checksum"],
    ]
