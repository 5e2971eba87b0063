"""The configuration read again: what is refused, what needs a restart, what nobody notices."""

import asyncio
import logging
import os
import re
import socket
from datetime import UTC, datetime

import pytest

from tests.conftest import ExpectLog, LogGuard
from tests.plugins.turn.client import CHANNEL
from tests.plugins.turn.site import SECRET
from tests.reloading import ReloadSite, site
from tests.wire import call, until
from tornado_webrtc.admin.loglevel import set_level
from tornado_webrtc.certificate import make_certificate, write_certificate
from tornado_webrtc.errors import ConfigError
from tornado_webrtc.reload import ReloadReport

__all__ = ["site"]

DEADLINE_S = 15.0
REFUSED = "the configuration is not taken over, all stays as it is:\n"


async def test_nothing_changed(site: ReloadSite) -> None:
    server = await site.start()
    before = server.config
    assert await site.reload({}) == ReloadReport()
    assert server.config == before


# --- what is refused ----------------------------------------------------------


@pytest.mark.parametrize("number", [socket.EAI_AGAIN, socket.EAI_NONAME])
@pytest.mark.parametrize("key", ["turn.public_ip", "turn.bind"])
async def test_secret_is_changed_while_names_cannot_be_looked_up(
    site: ReloadSite,
    expect_log: ExpectLog,
    monkeypatch: pytest.MonkeyPatch,
    key: str,
    number: int,
) -> None:
    """The server has had its addresses since the start; what was stolen has to go now."""
    if key == "turn.public_ip":
        expect_log("clients are told to connect to 127.0.0.1, which leads each client to itself")
    await site.start({key: "localhost,"})
    client = await site.allocated()

    def fail(*_: object, **_more: object) -> None:
        raise socket.gaierror(number, "nobody knows")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    expect_log(rf"{key}: localhost cannot be looked up \(nobody knows\)")
    report = await site.reload({"turn.secret": "another-long-secret"})
    assert report.applied == ("turn.secret",)
    (said,) = report.warnings
    assert f"{key}: localhost cannot be looked up (nobody knows)" in said
    assert site.server.secrets == ("another-long-secret",)
    assert await client.refresh(600) == 0
    assert await (await site.turn.udp()).try_to_allocate() == 401
    assert (await site.reload({})).warnings == (), "it was said"


async def test_what_else_is_wrong_is_found_while_names_cannot_be_looked_up(
    site: ReloadSite, expect_log: ExpectLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A plugin that stopped at the name would find the users' file only when it goes by it."""
    await site.start({"turn.bind": "localhost,"})
    before = site.server.secrets

    def fail(*_: object, **_more: object) -> None:
        raise socket.gaierror(socket.EAI_AGAIN, "nobody knows")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    users = site.folder / "users"
    users.touch(0o600)
    users.write_text("no colon\n")
    expect_log(REFUSED)
    with pytest.raises(ConfigError, match="expected name:password"):
        await site.reload({"turn.secret": "another-long-secret", "turn.users_file": "users"})
    assert site.server.secrets == before


BAD = [
    ({"signaling.ping_s": "often"}, "signaling.ping_s"),
    ({"signaling.pings": "1"}, "signaling.pings"),
    ({"nonsense.a": "1"}, "nonsense"),
    ({"turn.secret_file": "nowhere"}, "turn.secret_file"),
    ({"turn.secret_file": "empty"}, "empty is empty"),
    ({"turn.users_file": "users"}, "expected name:password"),
    ({"plugins.enabled": "nobody,"}, "nobody"),
]


@pytest.mark.parametrize(("changes", "reason"), BAD, ids=[reason for _, reason in BAD])
async def test_bad_file_changes_nothing(
    site: ReloadSite, expect_log: ExpectLog, changes: dict[str, str], reason: str
) -> None:
    for name, text in (("empty", ""), ("users", "no colon\n")):
        (site.folder / name).touch(0o600)
        (site.folder / name).write_text(text)
    server = await site.start()
    before = server.config, server.secrets, server.hub.limits, server.api_buckets
    client = await site.allocated()
    expect_log(REFUSED)
    with pytest.raises(ConfigError, match=reason):
        await site.reload(
            {"signaling.heartbeat_s": "1", "turn.secret": "another-long-secret", **changes}
        )
    after = server.config, server.secrets, server.hub.limits, server.api_buckets
    assert all(one is other for one, other in zip(before, after, strict=True))
    assert await client.refresh(600) == 0
    assert await (await site.turn.udp()).try_to_allocate() == 0
    for key in changes:
        del site.settings[key]
    assert (await site.reload({})).applied == ("signaling.heartbeat_s", "turn.secret")


async def test_refusal_is_one_entry_of_the_log(
    site: ReloadSite, expect_log: ExpectLog, caplog: pytest.LogCaptureFixture
) -> None:
    await site.start()
    expect_log(REFUSED)
    with pytest.raises(ConfigError):
        await site.reload(
            {"signaling.ping_s": "often", "turn.secret": SECRET + ", hidden", "a.b": "c"}
        )
    (entry,) = [each.getMessage() for each in caplog.records if each.levelno >= logging.WARNING]
    assert "signaling.ping_s" in entry
    assert "[a]" in entry
    assert SECRET not in entry


async def test_file_that_is_gone(site: ReloadSite, expect_log: ExpectLog) -> None:
    server = await site.start()
    site.conf.unlink()
    expect_log(REFUSED)
    with pytest.raises(ConfigError, match="cannot be read"):
        await server.reload()


async def test_pipe_is_not_waited_for(site: ReloadSite, expect_log: ExpectLog) -> None:
    server = await site.start()
    site.conf.unlink()
    os.mkfifo(site.conf)
    expect_log(REFUSED)
    with pytest.raises(ConfigError, match="it is no regular file"):
        await server.reload()


async def test_changed_content_of_files_is_applied(site: ReloadSite) -> None:
    for name, text in (
        ("users", "a:b\n"),
        ("secret", f"{SECRET}\n"),
        ("tokens", "a 1234567890abcdef\n"),
    ):
        (site.folder / name).touch(0o600)
        (site.folder / name).write_text(text)
    names = {
        "turn.users_file": "users",
        "turn.secret_file": "secret",
        "auth_token.file": "tokens",
        "turn.secret": "",
    }
    await site.start({**names, "plugins.enabled": "auth_token,"})
    assert (await site.reload({})).applied == ()
    for name, line in (
        ("users", "c:d\n"),
        ("secret", SECRET[::-1]),
        ("tokens", "c 234567890abcdef1\n"),
    ):
        with (site.folder / name).open("a") as file:
            file.write(line)
    applied = (await site.reload({})).applied
    assert set(applied) == {"turn.users_file", "turn.secret_file", "auth_token.file"}
    assert (await site.reload({})).applied == ()


async def test_level_that_an_operator_chose_holds_until_the_key_changes(site: ReloadSite) -> None:
    await site.start()
    set_level("DEBUG")
    await site.reload({"signaling.ping_s": "7"})
    assert logging.getLogger().level == logging.DEBUG
    await site.reload({"general.log_level": "ERROR"})
    assert logging.getLogger().level == logging.ERROR


async def test_bans_that_could_not_be_stored_are_tried_again(
    site: ReloadSite, expect_log: ExpectLog, log_guard: LogGuard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tornado_webrtc.banfile.RETRY_S", 3600)
    expect_log("a restart will lose changes of the bans")
    server = await site.start()
    kept = server.config.general.state_dir / "bans.json"
    kept.mkdir(parents=True)
    server.ban("peer", "mallory")
    await until(lambda: bool(log_guard.records))
    kept.rmdir()
    await site.reload({})
    await until(lambda: server.bans.stored)
    assert "mallory" in kept.read_text()


# --- what needs a restart -----------------------------------------------------


async def test_restart_keys_stay_and_are_named_again(site: ReloadSite) -> None:
    server = await site.start()
    changes = {"general.port": "1", "turn.realm": "example.org", "signaling.ping_s": "7"}
    report = await site.reload(changes)
    assert report.applied == ("signaling.ping_s",)
    assert report.needs_restart == ("general.port", "turn.realm")
    assert (server.config.general.port, server.config.signaling.ping_s) == (0, 7)
    assert await site.reload({}) == ReloadReport(needs_restart=report.needs_restart)
    assert await (await site.turn.udp()).try_to_allocate() == 0


async def test_plugins_come_and_go_with_a_restart(site: ReloadSite) -> None:
    (site.folder / "tokens").touch(0o600)
    (site.folder / "tokens").write_text("alice alice-has-a-long-token\n")
    server = await site.start({"plugins.disabled": ""})
    report = await site.reload(
        {"auth_token.file": "tokens", "plugins.disabled": "logging_console,"}
    )
    assert report.applied == ()
    assert report.needs_restart == (
        "plugins.disabled",
        "plugin auth_token",
        "plugin logging_console",
    )
    assert server.plugins.names == ("logging_console", "turn")


# --- plugins ------------------------------------------------------------------

PLUGIN = """
from tornado_webrtc import hookimpl

SETTINGS = '''
# How loud. (live)
volume = integer(default=1)
# How many.
threads = integer(default=1)
'''

class Plugin:
    def __init__(self, context):
        self.told = []

    @hookimpl
    def settings_changed(self, old, new):
        self.told.append([each.plugin_settings["radio"] for each in (old, new)])
"""


DOUBTFUL = """
from tornado_webrtc import hookimpl
from tornado_webrtc.hooks import Doubt

SETTINGS = '''
# live
volume = integer(default=1)
'''

class Plugin:
    def __init__(self, context):
        self.volume = context.settings["volume"]

    @hookimpl
    def check(self):
        return [Doubt("radio.volume: it is loud")] if self.volume > 10 else []
"""


async def test_plugin_is_told_of_its_own_section(site: ReloadSite) -> None:
    folder = site.folder / "plugins"
    folder.mkdir()
    (folder / "radio.py").write_text(PLUGIN)
    server = await site.start({"plugins.path": "plugins,"})
    report = await site.reload({"radio.volume": "9", "radio.threads": "9"})
    assert (report.applied, report.needs_restart) == (("radio.volume",), ("radio.threads",))
    await site.reload({})
    plugin = server.plugins._pluggy.get_plugin("radio")
    old, new = {"volume": 1, "threads": 1}, {"volume": 9, "threads": 1}
    assert plugin is not None
    assert plugin.told == [[old, new], [new, new]], "files may have changed"


async def test_shipped_plugins_are_live(site: ReloadSite, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    for name, token in (("tokens", "first-token-of-alice"), ("others", "other-token-of-alice")):
        (site.folder / name).touch(0o600)
        (site.folder / name).write_text(f"alice {token}\n")
    await site.start({"plugins.disabled": "", "auth_token.file": "tokens"})
    first = await site.connect()
    await first.register("alice", token="first-token-of-alice")
    report = await site.reload(
        {
            "auth_token.file": "others",
            "auth_token.allow_anonymous": "yes",
            "logging_console.addresses": "no",
        }
    )
    assert report.applied == (
        "auth_token.file",
        "auth_token.allow_anonymous",
        "logging_console.addresses",
    )
    assert await first.settled() == [], "who is in stays"
    await (await site.connect()).register("anybody")
    await first.drop()
    second = await site.connect()
    await second.register("alice", token="other-token-of-alice")
    joined = [each.getMessage() for each in caplog.records if " joined" in each.getMessage()]
    assert ["127.0.0.1" in line for line in joined] == [True, False, False]


async def test_bad_tokens_refuse_the_whole(site: ReloadSite, expect_log: ExpectLog) -> None:
    (site.folder / "tokens").touch(0o600)
    (site.folder / "tokens").write_text("alice first-token-of-alice\n")
    await site.start({"auth_token.file": "tokens"})
    expect_log(REFUSED)
    with pytest.raises(ConfigError, match=r"auth_token.file: the tokens in .*gone"):
        await site.reload({"auth_token.file": "gone", "signaling.ping_s": "7"})
    assert site.server.config.signaling.ping_s == 20


# --- what nobody notices ------------------------------------------------------


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_reload_while_data_flows_loses_nothing(site: ReloadSite, transport: str) -> None:
    """A relayed call and a WebSocket go on through many reloads that change everything."""
    await site.start()
    ann, ben = await site.connect("1"), await site.connect("2")
    session_id = await call(ann, ben)
    client, peer = await site.turn.client(transport), site.turn.peer("127.0.0.2")
    relayed = await client.allocate()
    assert await client.bind(peer.address) == 0
    for number in range(40):
        sent = [f"{number}.{each}".encode() for each in range(8)]
        for data in sent:
            client.send_channel(data)
            peer.send(data, relayed)
        report = await site.reload(
            {
                "signaling.ping_s": str(number + 1),
                "signaling.messages_per_s": str(1000 + number),
                "turn.secret": f"the-secret-number-{number}, {SECRET}",
                "turn.max_permissions": str(100 + number),
                "turn.allocation_bytes_per_s": str(1000000 + number),
                "turn.deny_peers": f"10.0.{number}.0/24,",
            }
        )
        assert len(report.applied) == 6
        async with asyncio.timeout(DEADLINE_S):
            assert [(await peer.receive())[0] for _ in sent] == sent
            assert [await client.data() for _ in sent] == [(CHANNEL, data) for data in sent]
    assert await client.refresh(600) == 0
    await ann.send("bye", {"session_id": session_id})
    assert await ben.read_type("bye")


async def test_new_certificate(site: ReloadSite) -> None:
    cert, key = site.folder / "cert.pem", site.folder / "key.pem"
    write_certificate(cert, key, ["localhost"])
    server = await site.start({"general.cert": "cert.pem", "general.key": "key.pem"})
    assert server.certificates is not None
    before = server.certificates.certificate
    assert await site.reload({}) == ReloadReport()
    write_certificate(cert, key, ["localhost"], overwrite=True)
    assert await site.reload({}) == ReloadReport(certificate=True)
    assert server.certificates.certificate != before


MISMATCH = r"the key .*key\.pem does not belong to the certificate .*cert\.pem"
GARBAGE = r".*cert\.pem holds no PEM certificate"


@pytest.mark.parametrize(("file", "reason"), [("key.pem", MISMATCH), ("cert.pem", GARBAGE)])
async def test_bad_certificate_leaves_the_old_one_and_is_reported(
    site: ReloadSite,
    expect_log: ExpectLog,
    caplog: pytest.LogCaptureFixture,
    file: str,
    reason: str,
) -> None:
    cert, key = site.folder / "cert.pem", site.folder / "key.pem"
    write_certificate(cert, key, ["localhost"])
    server = await site.start({"general.cert": "cert.pem", "general.key": "key.pem"})
    assert server.certificates is not None
    before = server.certificates.certificate
    _, other = make_certificate(["localhost"])
    (site.folder / file).write_bytes(other if file == "key.pem" else b"garbage")
    expect_log("the certificate in use stays")
    report = await site.reload({"signaling.ping_s": "7"})
    assert (report.applied, report.certificate) == (("signaling.ping_s",), False)
    assert re.fullmatch(reason, report.certificate_error)
    assert server.certificates.certificate == before
    errors = [each.getMessage() for each in caplog.records if each.levelno == logging.ERROR]
    assert errors == [f"{report.certificate_error}; the certificate in use stays"]
    write_certificate(cert, key, ["localhost"], overwrite=True)
    assert await site.reload({}) == ReloadReport(certificate=True)


async def test_doubts_about_the_certificate_are_reported_each_time(
    site: ReloadSite, expect_log: ExpectLog, caplog: pytest.LogCaptureFixture
) -> None:
    cert, key = site.folder / "cert.pem", site.folder / "key.pem"
    write_certificate(cert, key, ["localhost"])
    await site.start({"general.cert": "cert.pem", "general.key": "key.pem"})
    pem = make_certificate(["localhost"], days=1, now=datetime(2020, 1, 1, tzinfo=UTC))
    for path, content in zip((cert, key), pem, strict=True):
        path.write_bytes(content)
    key.chmod(0o644)
    expect_log("the certificate in use expired on 2020-01-02: clients refuse it")
    expect_log("call.example.org is not among the names")
    expect_log(r"other users of this machine can use .*key.pem \(mode 0644\)")
    first = await site.reload({"general.domain": "call.example.org"})
    assert first.certificate
    assert len(first.warnings) == 3
    assert (await site.reload({})).warnings == first.warnings
    warned = [each for each in caplog.records if each.levelno == logging.WARNING]
    assert len(warned) == 3, "each is logged once"


async def test_doubts_about_a_secret_are_reported(site: ReloadSite, expect_log: ExpectLog) -> None:
    (site.folder / "secret").write_text("abcde\n")
    (site.folder / "secret").chmod(0o644)
    await site.start()
    expect_log("turn.secret_file: a secret of fewer than 16 characters can be guessed")
    expect_log(r"turn.secret_file: other users of this machine can use .*secret \(mode 0644\)")
    first = await site.reload({"turn.secret_file": "secret"})
    assert first.applied == ("turn.secret_file",)
    assert len(first.warnings) == 2
    assert "fewer than 16" in first.warnings[0]
    assert first.warnings[1].endswith("secret")
    assert "mode 0644" in first.warnings[1]
    assert "abcde" not in str(first)
    again = await site.reload({})
    assert (again.applied, again.warnings) == ((), first.warnings)


async def test_doubts_of_plugins_are_reported_once(site: ReloadSite, expect_log: ExpectLog) -> None:
    folder = site.folder / "plugins"
    folder.mkdir()
    (folder / "radio.py").write_text(DOUBTFUL)
    await site.start({"plugins.path": "plugins,"})
    expect_log("radio.volume: it is loud")
    assert (await site.reload({})).warnings == ()
    (said,) = (await site.reload({"radio.volume": "11"})).warnings
    assert said.endswith("radio.volume: it is loud")
    assert (await site.reload({})).warnings == ()


async def test_new_warnings_are_logged(
    site: ReloadSite, expect_log: ExpectLog, caplog: pytest.LogCaptureFixture
) -> None:
    await site.start()
    expect_log("general.html_root: there is no folder")
    (said,) = (await site.reload({"general.html_root": "nowhere"})).warnings
    assert "general.html_root: there is no folder" in said
    assert (await site.reload({})).warnings == ()
    warnings = [each.getMessage() for each in caplog.records if each.levelno == logging.WARNING]
    assert len(warnings) == 1
