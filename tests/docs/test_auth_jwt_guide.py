"""docs/auth-jwt.md: its configurations, commands and code do what the page says."""

import asyncio
import json
import os
import re
import shlex
import subprocess
import sys
import time
from asyncio.subprocess import PIPE
from pathlib import Path

import pytest

from tests.conftest import ExpectLog
from tests.plugins.auth_jwt.issuer import Publisher, jwk, public_pem
from tests.plugins.auth_jwt.site import BY_SECRET, by_header, credential, refused, token
from tests.reloading import ReloadSite, site
from tests.service import ini
from tests.wallclock import WallClock
from tests.wire import WireClient
from tornado_webrtc.plugins.auth_jwt.claim import MAX_PEER_IDS
from tornado_webrtc.plugins.auth_jwt.jwks import MAX_KEYS
from tornado_webrtc.plugins.auth_jwt.key import MAX_RSA_BITS, MIN_RSA_BITS
from tornado_webrtc.plugins.auth_jwt.refusal import Cause
from tornado_webrtc.plugins.auth_jwt.remote_keys import MAX_SET_BYTES, REFETCH_S
from tornado_webrtc.web.connection import MAX_EXPIRY_WAIT_S

__all__ = ["site"]

ROOT = Path(__file__).resolve().parents[2]
GUIDE = (ROOT / "docs" / "auth-jwt.md").read_text(encoding="utf-8")
FLAT = " ".join(GUIDE.split())


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", GUIDE.replace("\n  ", "\n"), re.DOTALL)


def settings(block: str) -> dict[str, str]:
    """A configuration of the page, by ``section.key``."""
    found, section = {}, ""
    for line in block.splitlines():
        if line.startswith("["):
            section = line.strip("[]")
        elif line:
            key, _, text = line.partition(" = ")
            found[f"{section}.{key}"] = text
    return found


def run(command: list[str], folder: Path, **environ: str) -> str:
    own = {"PYTHONPATH": str(ROOT), **environ}
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=50, check=True,
        env={**os.environ, **own},
    ).stdout  # fmt: skip


def make_secret(folder: Path) -> None:
    """As the page makes it."""
    (script,) = (each for each in blocks("sh") if each.startswith("openssl"))
    commands = [line for line in script.splitlines() if not line.startswith("tornado-webrtc")]
    assert len(commands) == 2
    run(["sh", "-ec", "\n".join(commands)], folder)
    assert (folder / "jwt-secret").stat().st_mode & 0o777 == 0o600


def make_token(folder: Path) -> str:
    """As the page makes it."""
    (code,) = blocks("python")
    return run([sys.executable, "-c", code], folder).strip()


@pytest.mark.parametrize("block", blocks("ini"), ids=range(len(blocks("ini"))))
async def test_configurations_raise_no_doubt(site: ReloadSite, block: str) -> None:
    """A doubt would be a warning in the log, and fail the test."""
    make_secret(site.folder)
    (site.folder / "issuer.pem").write_text(public_pem("Ed25519"))
    async with Publisher() as publisher:
        publisher.publish(jwk("RSA", "a"))
        written = settings(block)
        if "auth_jwt.jwks" in written:
            assert written["auth_jwt.jwks"].startswith("https://")
            written["auth_jwt.jwks"] = publisher.url
        server = await site.start(written)
        assert "auth_jwt" in server.plugins.names
        await server.stop()


def test_check_of_the_page(site: ReloadSite) -> None:
    make_secret(site.folder)
    site.settings |= settings(blocks("ini")[0])
    site.conf.write_text(ini(site.settings))
    (line,) = (each for each in GUIDE.splitlines() if each.startswith("tornado-webrtc check"))
    command = [sys.executable, "-m", "tornado_webrtc", *shlex.split(line)[1:]]
    assert "no problems" in run(command, site.folder)


async def test_from_the_secret_to_a_credential_and_to_a_ban(site: ReloadSite) -> None:
    """All blocks of the first chapter, in order; then the ways to show the token, and the ban."""
    make_secret(site.folder)
    server = await site.start(settings(blocks("ini")[0]) | {"admin.socket": "admin.sock"})
    shown = await asyncio.to_thread(make_token, site.folder)
    (line,) = (each for each in blocks("sh") if each.startswith("curl"))
    line = line.replace("https://localhost:8086", f"http://127.0.0.1:{server.port}")
    answer = json.loads(await asyncio.to_thread(run, ["sh", "-c", line], site.folder, TOKEN=shown))
    assert answer["username"].endswith(":alice")

    (code,) = blocks("js")
    path, offered = re.search(r"8086(/\w+)\", (\[.*\])\)", code).groups()  # type: ignore[union-attr]
    protocols = json.loads(offered.replace("`bearer.${token}`", f'"bearer.{shown}"'))
    headers = {"Sec-WebSocket-Protocol": ", ".join(protocols)}
    async with await WireClient.connect(server.port, path=path, headers=headers) as client:
        await client.register("alice")
    message = json.loads(blocks("json")[0].replace("TOKEN", shown))
    async with await WireClient.connect(server.port) as client:
        await client.send(message["type"], message["data"])
        await client.read_type("peers")
        assert [peer.subject for peer in server.hub.peers()] == ["alice"]

        (line,) = (each for each in blocks("sh") if " ban " in each)
        command = [sys.executable, "-m", "tornado_webrtc", *shlex.split(line)[1:]]
        environ = {**os.environ, "PYTHONPATH": str(ROOT)}
        banning = await asyncio.create_subprocess_exec(
            *command, cwd=site.folder, env=environ, stdout=PIPE
        )
        closed = await client.read_until_closed()
        assert (await banning.communicate(), banning.returncode)[1] == 0
        assert closed.code == 4403
    assert (await credential(server, "alice", shown)).status == 403


async def test_devices_of_an_account(site: ReloadSite) -> None:
    make_secret(site.folder)
    (block,) = (each for each in blocks("ini") if "peer_ids" in each)
    server = await site.start(settings(block))
    secret = (site.folder / "jwt-secret").read_text().strip()
    shown = token("ann", secret=secret, iss="https://app.example.org")
    for peer_id in ("ann", "ann/phone"):
        async with await WireClient.connect(server.port, headers=by_header(shown)) as client:
            await client.register(peer_id)
    listed = token(
        "ann", secret=secret, iss="https://app.example.org", peer_ids=["desk", "phone-*"]
    )
    assert '`["desk", "phone-*"]`' in GUIDE
    for peer_id in ("desk", "phone-1"):
        async with await WireClient.connect(server.port, headers=by_header(listed)) as client:
            await client.register(peer_id)


def test_refusals_are_listed() -> None:
    rows = re.findall(r"^\| `(refused\.[\w-]+)` \| (.+) \|$", GUIDE, re.MULTILINE)
    assert rows == [(each.counter, each.value) for each in Cause]


def test_every_key_has_a_row() -> None:
    assert "<!-- keys: auth_jwt -->\n\n| key |" in GUIDE, "tests/docs/test_reference.py makes it"


def test_numbers() -> None:
    for sentence in (
        f"at most {MAX_PEER_IDS}, **instead**",
        f"RSA keys of {MIN_RSA_BITS} to {MAX_RSA_BITS} bits",
        f"At most {MAX_KEYS} keys and {MAX_SET_BYTES // 1024} kB",
        f"not more often than every {REFETCH_S:g} seconds",
        f"tried again, after {REFETCH_S:g} s",
    ):
        assert sentence in FLAT, sentence


async def test_beside_auth_token(site: ReloadSite, expect_log: ExpectLog) -> None:
    """It is asked first, and refuses what it does not know."""
    expect_log("auth_token.file: lets nobody in: auth_jwt runs, too, is asked first and refuses")
    fixed = "b1946ac92492d2347c6235b4d2611184"
    (site.folder / "tokens").write_text(f"kiosk {fixed}\n")
    (site.folder / "tokens").chmod(0o600)
    server = await site.start(BY_SECRET | {"auth_token.file": "tokens"})
    assert [each for each in server.plugins.names if each.startswith("auth_")] == [
        *("auth_jwt", "auth_token")
    ]
    assert (await refused(server.port, by_header(fixed))).reason == "The token is malformed."
    async with await WireClient.connect(server.port, headers=by_header(token())) as client:
        await client.register("ann")
    assert "the fixed tokens let nobody in, as `check` and the start warn." in FLAT


async def test_token_ends_what_it_allowed(site: ReloadSite) -> None:
    make_secret(site.folder)
    (block,) = (each for each in blocks("ini") if "close_at_expiry" in each)
    watch = WallClock(time.time())
    server = await site.start(settings(block), clock=watch.clock)
    secret = (site.folder / "jwt-secret").read_text().strip()
    times = {
        "iat": watch.wall,
        "exp": watch.wall + 1 - server.config.plugin_settings["auth_jwt"]["leeway_s"],
    }
    shown = token("ann", secret=secret, iss="https://app.example.org", **times)
    async with await WireClient.connect(server.port, headers=by_header(shown)) as client:
        await client.register("ann")
        watch.run()
        assert (await client.read())["data"]["code"] == "identity-expired"
        assert (await client.read_until_closed()).code == 4401
    assert "`identity-expired`, then close code 4401" in FLAT
    assert MAX_EXPIRY_WAIT_S == 60
    assert "When the clock of this machine is set, the new time counts, within a minute." in FLAT


def test_extra_is_the_one_that_is_there() -> None:
    assert re.fullmatch(r"pip install '/root/tornado_webrtc-\S+\.whl\[jwt\]'\n", blocks("sh")[0])
    assert re.search(r'^jwt = \["PyJWT', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)


async def test_check_fetches_the_key_set(tmp_path: Path) -> None:
    assert "**`tornado-webrtc check`**" in GUIDE
    async with Publisher() as publisher:
        publisher.publish(jwk("P-256", "a"))
        text = {"auth_jwt.algorithms": "ES256", "auth_jwt.jwks": publisher.url}
        (tmp_path / "server.ini").write_text(ini(text | {"plugins.disabled": "turn"}))
        command = [sys.executable, "-m", "tornado_webrtc", "check", "server.ini"]
        assert "no problems" in await asyncio.to_thread(run, command, tmp_path)
        assert publisher.requests == 1
