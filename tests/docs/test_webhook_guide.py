"""docs/webhook.md: its commands, configuration, code and tables are what the plugin does."""

import json
import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.docs.source import said_in_sources
from tests.plugins.webhook.receiver import OLD_SECRET, SECRET, receiving
from tests.reloading import ReloadSite, site
from tests.wire import until
from tornado_webrtc.plugins.webhook.delivery import COUNTERS
from tornado_webrtc.plugins.webhook.endpoint import MAX_ANSWER_BYTES, Verdict, verdict_of
from tornado_webrtc.plugins.webhook.event import FIELDS, TYPES
from tornado_webrtc.plugins.webhook.retry import FIRST_S, LONGEST_S, MAX_RETRY_AFTER_S
from tornado_webrtc.plugins.webhook.signature import parse_secret, signature

__all__ = ["site"]

GUIDE = (Path(__file__).resolve().parents[2] / "docs" / "webhook.md").read_text(encoding="utf-8")
FLAT = " ".join(GUIDE.split())
BODY = '{"name":"Ä"}'.encode()

Verify = Callable[[str, dict[str, str], bytes], bool]


def block(language: str) -> str:
    (found,) = re.findall(rf"```{language}\n(.*?)```", GUIDE, re.DOTALL)
    return str(found)


def run(command: list[str], folder: Path | None = None) -> str:
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    return result.stdout


def headers(secrets: list[str], sent_at: int | str) -> dict[str, str]:
    keys = [parse_secret(secret) for secret in secrets]
    timestamp = int(sent_at) if str(sent_at).isdecimal() else 0
    return {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(sent_at),
        "webhook-signature": signature(keys, "msg_1", timestamp, BODY),
    }


def by_python(secret: str, named: dict[str, str], body: bytes) -> bool:
    scope: dict[str, Any] = {}
    exec(block("python"), scope)  # noqa: S102 - the page's own code
    try:
        scope["verify"](secret, named, body)
    except ValueError:
        return False
    return True


def by_node(secret: str, named: dict[str, str], body: bytes) -> bool:
    call = f"verify({json.dumps(secret)}, {json.dumps(named)}, Buffer.from({list(body)}))"
    code = f"{block('js')}\ntry {{ {call} }} catch (error) {{ console.log(error.message) }}"
    return not run(["node", "-e", code])


@pytest.mark.parametrize("verify", [by_python, by_node])
def test_signatures_are_checked(verify: Verify) -> None:
    now = int(time.time())
    assert verify(SECRET, headers([SECRET], now), BODY)
    assert verify(SECRET, headers([OLD_SECRET, SECRET], now), BODY)
    assert verify(OLD_SECRET, headers([OLD_SECRET, SECRET], now), BODY)
    assert not verify(SECRET, headers([OLD_SECRET], now), BODY)
    assert not verify(SECRET, headers([SECRET], now), BODY + b" ")
    assert not verify(SECRET, headers([SECRET], now - 301), BODY)
    assert not verify(SECRET, headers([SECRET], now + 310), BODY)
    assert not verify(SECRET, headers([SECRET], "soon"), BODY)
    assert not verify(SECRET, headers([SECRET], now) | {"webhook-signature": "v1,é ,"}, BODY)
    assert not verify(SECRET, headers([SECRET], now) | {"webhook-id": "msg_2"}, BODY)


async def test_from_the_secret_to_an_event(site: ReloadSite) -> None:
    """The command, the configuration, and the code that checks what comes."""
    run(["sh", "-ec", block("sh")], site.folder)
    file = site.folder / "webhook-secret"
    assert file.stat().st_mode & 0o777 == 0o600
    lines = [line.partition(" = ") for line in block("ini").splitlines()[1:]]
    settings = {f"webhook.{key}": value for key, _, value in lines}
    assert settings["webhook.url"].startswith("https://")
    async with receiving() as receiver:
        await site.start(settings | {"webhook.url": receiver.url})
        await until(lambda: bool(receiver.requests))
        await site.server.stop()
        request = receiver.requests[0]
        named = {name.lower(): value for name, value in request.headers.items()}
        assert by_python(file.read_text().strip(), named, request.body)
        assert receiver.types == ["server.started", "server.stopped"]


def test_event_of_the_page() -> None:
    event = json.loads(block("json"))
    assert set(event["data"]) == set(FIELDS[event["type"]])
    assert list(event) == ["type", "timestamp", "node_id", "dropped", "data"]
    for name in list(event):
        assert f"`{name}`" in GUIDE


def test_every_event_is_listed_with_its_fields() -> None:
    rows = re.findall(r"^\| `([a-z]+\.[a-z]+)` \| [^|]+ \| (.*) \|$", GUIDE, re.MULTILINE)
    listed = {name: tuple(re.findall(r"`(\w+)`", cell)) for name, cell in rows}
    assert listed == dict(FIELDS)
    assert [name for name, _ in rows] == list(TYPES)


def test_what_answers_mean() -> None:
    codes: dict[Verdict, list[int]] = {verdict: [] for verdict in Verdict}
    for code in range(200, 600):
        codes[verdict_of(code)].append(code)
    assert codes[Verdict.DELIVERED] == list(range(200, 300))
    assert codes[Verdict.AGAIN] == [408, 425, 429, *range(500, 600)]
    assert codes[Verdict.GONE] == [410]
    assert "| 200 to 299 | delivered |" in GUIDE
    assert "| 408, 425, 429, 500 and above; " in GUIDE
    assert "| 410 | nothing more" in GUIDE


def test_numbers() -> None:
    for sentence in (
        f"after about {FIRST_S:g} s, {2 * FIRST_S:g} s, {4 * FIRST_S:g} s",
        f"up to {LONGEST_S:g} s, less some chance",
        f"`Retry-After` is honoured up to {MAX_RETRY_AFTER_S:g} s",
        f"{MAX_ANSWER_BYTES >> 10} kB of it are taken",
    ):
        assert sentence in FLAT, sentence


def test_lines_of_the_log() -> None:
    _, _, chapter = GUIDE.partition("| line of the log |")
    lines = re.findall(r"^\| `([^`]+)` \|", chapter, re.MULTILINE)
    assert len(lines) == 4
    for line in lines:
        said = line.replace("(it answers with HTTP 410)", "(…)")
        assert said_in_sources(said), line


def test_counters() -> None:
    for name in (*COUNTERS, "waiting"):
        assert f"`{name}`" in GUIDE, name
