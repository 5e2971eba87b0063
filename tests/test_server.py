"""A whole server in this process: plugins at work, start, stop, what goes wrong."""

import asyncio
import json
import shutil
import socket
from pathlib import Path
from typing import Any

import pytest
from tornado.httpclient import AsyncHTTPClient

from tests.conftest import ExpectLog
from tests.wire import WireClient, call
from tornado_webrtc.config import Turn
from tornado_webrtc.errors import ConfigError, ListenError, PluginError, StateError
from tornado_webrtc.hookspecs import KINDS
from tornado_webrtc.server import Server, load, read_secrets
from tornado_webrtc.state import StateDir

EXAMPLE = Path(__file__).resolve().parents[1] / "docs" / "examples" / "do_not_disturb.py"

RAISES_IN_EVERY_HOOK = "\n".join(
    [
        "from tornado_webrtc import hookimpl",
        *(
            f"@hookimpl\ndef {hook}():\n    raise RuntimeError('broken on purpose')\n"
            for hooks in KINDS.values()
            for hook in hooks
        ),
    ]
)


class Site:
    """A folder with a configuration and plugins, and the server that it makes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.plugins = folder / "plugins"
        self.plugins.mkdir()
        self.server: Server | None = None

    def add_plugin(self, name: str, source: str) -> None:
        (self.plugins / f"{name}.py").write_text(source)

    async def start(self, sections: str = "", *, required: str = "") -> Server:
        conf = self.folder / "server.ini"
        conf.write_text(
            "[general]\nbind = 127.0.0.1,\nport = 0\n"
            f"[plugins]\npath = plugins,\nrequired = {required},\n"
            "disabled = logging_console, turn\n"
            f"{sections}"
        )
        self.server = Server(*load(conf))
        await self.server.start()
        return self.server


@pytest.fixture
async def site(tmp_path: Path) -> Any:
    site = Site(tmp_path)
    yield site
    if site.server is not None:
        await site.server.stop()


async def get(server: Server, path: str) -> tuple[int, bytes]:
    url = f"http://127.0.0.1:{server.port}{path}"
    response = await AsyncHTTPClient(force_instance=True).fetch(url, raise_error=False)
    return response.code, response.body


# --- plugins ------------------------------------------------------------------


async def test_example_of_the_guide_works_when_dropped_into_a_folder(site: Site) -> None:
    shutil.copy(EXAMPLE, site.plugins)
    server = await site.start("[do_not_disturb]\nreason = is asleep\n")
    assert "do_not_disturb" in server.plugins.names
    async with (
        await WireClient.connect(server.port) as ann,
        await WireClient.connect(server.port) as ben,
    ):
        await ann.register("1")
        await ben.register("2")
        await ann.settled()
        await ben.send("dnd", {"on": True})
        assert await ben.read() == {"type": "dnd", "data": {"on": True}}
        assert await get(server, "/api/dnd") == (200, b'{"ids": ["2"]}')
        await ann.send("offer", {"to": "2", "session_id": "1-2"})
        denied = await ann.read()
        assert denied["data"] == {
            "request": "offer",
            "reason": "Peer [2] is asleep.",
            "code": "do-not-disturb",
        }
        assert await ann.read_type("bye") == {"session_id": "1-2", "to": "1"}
        assert await ben.settled() == []
        await ben.send("dnd", {"on": False})
        await ben.settled()
        await call(ann, ben)


async def test_plugin_that_raises_in_every_hook_harms_nobody(
    site: Site, expect_log: ExpectLog
) -> None:
    site.add_plugin("broken", RAISES_IN_EVERY_HOOK)
    expect_log("broken")
    server = await site.start()
    assert "broken" not in server.plugins.names
    async with (
        await WireClient.connect(server.port) as ann,
        await WireClient.connect(server.port) as ben,
    ):
        await ann.register("1")
        await ben.register("2")
        await call(ann, ben)
        assert (await get(server, "/healthz"))[0] == 200


async def test_plugin_that_raises_later_denies_politely_and_breaks_nothing(
    site: Site, expect_log: ExpectLog
) -> None:
    site.add_plugin(
        "broken",
        "\n".join(
            f"from tornado_webrtc import hookimpl\n"
            f"@hookimpl\n{prefix}def {hook}():\n    raise RuntimeError('broken on purpose')\n"
            for prefix, hook in (
                ("", "permit_call"),
                ("async ", "peer_joined"),
                ("", "peer_left"),
                ("async ", "ice_servers"),
                ("", "server_started"),
                ("", "server_stopped"),
            )
        ),
    )
    expect_log("broken")
    server = await site.start()
    async with (
        await WireClient.connect(server.port) as ann,
        await WireClient.connect(server.port) as ben,
    ):
        await ann.register("1")
        await ben.register("2")
        await ann.settled()
        await ann.send("offer", {"to": "2", "session_id": "1-2"})
        refused = await ann.read()
        assert (refused["type"], refused["data"]["code"]) == ("error", "plugin-failed")
        assert await ann.read_type("bye") == {"session_id": "1-2", "to": "1"}
        assert await ben.settled() == []
        url = "/api/turn?service=turn&username=1"
        assert (await get(server, url))[0] == 200


@pytest.mark.parametrize("position", ["a_first", "m_middle", "z_last"])
@pytest.mark.parametrize("prefix", ["", "async "])
async def test_denying_plugin_denies_wherever_it_stands(
    site: Site, position: str, prefix: str
) -> None:
    allow = "from tornado_webrtc import hookimpl\n@hookimpl\ndef permit_join():\n    return True\n"
    deny = (
        "from tornado_webrtc import hookimpl\nfrom tornado_webrtc.hooks import Denied\n"
        f"@hookimpl\n{prefix}def permit_join(request):\n"
        "    return Denied('closed for today', 'closed') if request.peer_id == '1' else None\n"
    )
    for name in ("a_first", "m_middle", "z_last"):
        site.add_plugin(name, deny if name == position else allow)
    server = await site.start()
    async with (
        await WireClient.connect(server.port) as denied,
        await WireClient.connect(server.port) as welcome,
    ):
        await denied.send("new", {"id": "1"})
        assert (await denied.read())["data"]["code"] == "closed"
        assert (await denied.read_until_closed()).code == 4403
        await welcome.register("2")


async def test_slow_permission_keeps_order_and_rechecks_the_state(site: Site) -> None:
    site.add_plugin(
        "slow",
        "import asyncio\nfrom tornado_webrtc import hookimpl\n"
        "@hookimpl\nasync def permit_call(request):\n"
        "    await asyncio.sleep(0.3)\n    return None\n",
    )
    server = await site.start()
    async with (
        await WireClient.connect(server.port) as ann,
        await WireClient.connect(server.port) as ben,
    ):
        await ann.register("1")
        await ben.register("2")
        await ann.settled()
        await ann.send("offer", {"to": "2", "session_id": "1-2"})
        await ann.send("candidate", {"to": "2", "session_id": "1-2"})
        assert [(await ben.read())["type"] for _ in range(2)] == ["offer", "candidate"]
        await ann.send("offer", {"to": "2", "session_id": "again"})
        await ben.drop()
        answers = await ann.settled()
        errors = [each["data"]["code"] for each in answers if each["type"] == "error"]
        assert errors == ["not-found"]


async def test_room_plugin_separates_scopes(site: Site) -> None:
    site.add_plugin(
        "halls",
        "from tornado_webrtc import hookimpl\n"
        "@hookimpl\ndef scope_for(request):\n    return request.room\n",
    )
    server = await site.start()
    async with (
        await WireClient.connect(server.port, path="/ws?room=red") as red,
        await WireClient.connect(server.port, path="/ws?room=blue") as blue,
    ):
        assert [peer["id"] for peer in await red.register("1")] == ["1"]
        assert [peer["id"] for peer in await blue.register("1")] == ["1"]
        await red.send("offer", {"to": "2", "session_id": "1-2"})
        assert (await red.read())["data"]["code"] == "not-found"
        assert await blue.settled() == []


@pytest.mark.parametrize(
    "clash",
    [
        "def message_types():\n    return {'offer': print}",
        "def http_handlers():\n    return [('/ws', object)]",
    ],
)
async def test_plugin_that_wants_what_the_core_has_is_left_out(
    site: Site, clash: str, expect_log: ExpectLog
) -> None:
    site.add_plugin("greedy", f"from tornado_webrtc import hookimpl\n@hookimpl\n{clash}\n")
    expect_log("greedy.*of the core")
    server = await site.start()
    assert "greedy" not in server.plugins.names


async def test_of_two_plugins_that_want_the_same_the_first_has_it(
    site: Site, expect_log: ExpectLog
) -> None:
    source = (
        "from tornado_webrtc import hookimpl\n"
        "@hookimpl\ndef message_types():\n    return {'wave': print}\n"
    )
    for name in ("early", "late"):
        site.add_plugin(name, source)
    expect_log("late.*'wave' of plugin early")
    server = await site.start()
    assert ("early" in server.plugins.names, "late" in server.plugins.names) == (True, False)


async def test_required_plugin_that_fails_stops_the_server(
    site: Site, expect_log: ExpectLog
) -> None:
    source = (
        "from tornado_webrtc import hookimpl\n@hookimpl\ndef start():\n    raise OSError('no')\n"
    )
    site.add_plugin("needed", source)
    expect_log("needed")
    with pytest.raises(PluginError, match="needed"):
        await site.start(required="needed")
    site.server = None


def test_all_problems_at_once_those_of_plugins_too(tmp_path: Path) -> None:
    conf = tmp_path / "server.ini"
    conf.write_text(
        "[general]\nport = many\n[auth_token]\nallow_anonymous = perhaps\n[auth_tokens]\nfile = x\n"
    )
    with pytest.raises(ConfigError) as error:
        load(conf)
    text = str(error.value)
    for expected in (
        "general.port",
        "auth_token.file",
        "auth_token.allow_anonymous",
        "auth_tokens",
    ):
        assert expected in text


# --- authentication -----------------------------------------------------------

TOKENS = "alice alice-has-a-long-token alice alice-*\nbob   bob-has-a-long-token-too\n"


@pytest.fixture
def tokens(site: Site) -> str:
    path = site.folder / "tokens"
    path.write_text(TOKENS)
    path.chmod(0o600)
    return "[auth_token]\nfile = tokens\n"


@pytest.mark.parametrize("way", ["authorization", "subprotocol", "new"])
async def test_token_lets_its_subject_in(site: Site, tokens: str, way: str) -> None:
    server = await site.start(tokens)
    token = "alice-has-a-long-token"
    headers = {
        "authorization": {"Authorization": f"Bearer {token}"},
        "subprotocol": {"Sec-WebSocket-Protocol": f"tornado-webrtc, bearer.{token}"},
        "new": {},
    }[way]
    fields = {"token": token} if way == "new" else {}
    async with await WireClient.connect(server.port, headers=headers) as alice:
        peers = await alice.register("alice-phone", **fields)
        assert set(peers[0]) == {"id", "name", "user_agent"}
        assert [peer.subject for peer in server.hub.peers()] == ["alice"]
    async with await WireClient.connect(server.port, headers=headers) as alice:
        await alice.send("new", {"id": "bob", **fields})
        assert (await alice.read())["data"]["code"] == "id-not-allowed"
        assert (await alice.read_until_closed()).code == 4403


async def test_identity_ends_with_its_peer(site: Site, tokens: str) -> None:
    server = await site.start(tokens)
    async with await WireClient.connect(server.port) as client:
        await client.register("alice", token="alice-has-a-long-token")
        await client.send("leave", None)
        await client.register("bob", token="bob-has-a-long-token-too")
        assert [peer.subject for peer in server.hub.peers()] == ["bob"]


async def test_new_that_is_being_judged_came_in_time(site: Site) -> None:
    site.add_plugin(
        "slow",
        "import asyncio\nfrom tornado_webrtc import hookimpl\n"
        "@hookimpl\nasync def permit_join():\n    await asyncio.sleep(1.5)\n",
    )
    server = await site.start("[signaling]\nhello_timeout_s = 1\n")
    async with await WireClient.connect(server.port) as client:
        await client.register("1")
        await client.send("leave", None)
        assert await client.settled() == []


async def test_refused_new_has_to_be_followed_by_another(site: Site) -> None:
    server = await site.start("[signaling]\nhello_timeout_s = 1\n")
    async with await WireClient.connect(server.port) as client:
        await client.send("new", {"id": ""})
        assert (await client.read())["data"]["code"] == "bad-message"
        assert (await client.read_until_closed()).code == 4408


async def test_long_reasons_are_cut_to_what_a_close_frame_holds(site: Site) -> None:
    server = await site.start("[signaling]\non_duplicate_id = reject\n")
    long_id = "é" * 128
    async with (
        await WireClient.connect(server.port) as first,
        await WireClient.connect(server.port) as second,
    ):
        await first.register(long_id)
        await second.send("new", {"id": long_id})
        closed = await second.read_until_closed()
        assert (closed.code, len(closed.reason.encode()) <= 123) == (4409, True)


async def test_stop_ends_calls_for_both_legs_alike(site: Site) -> None:
    server = await site.start()
    async with (
        await WireClient.connect(server.port) as ann,
        await WireClient.connect(server.port) as ben,
    ):
        await ann.register("1")
        await ben.register("2")
        session_id = await call(ann, ben)
        await ann.settled()
        stop = asyncio.ensure_future(server.stop())
        for client in (ann, ben):
            assert (await client.read())["data"] == {"session_id": session_id, "to": client.id}
            assert (await client.read_until_closed()).code == 1001
        await stop


async def test_wrong_or_missing_token_is_closed(site: Site, tokens: str) -> None:
    server = await site.start(tokens)
    headers = {"Authorization": "Bearer wrong-wrong-wrong-wrong"}
    async with await WireClient.connect(server.port, headers=headers) as wrong:
        assert (await wrong.read_until_closed()).code == 4401
    async with await WireClient.connect(server.port) as missing:
        await missing.send("new", {"id": "alice"})
        assert (await missing.read())["data"]["code"] == "not-authenticated"
        assert (await missing.read_until_closed()).code == 4401


async def test_same_subject_takes_its_id_over_at_once(site: Site, tokens: str) -> None:
    server = await site.start(tokens)
    headers = {"Authorization": "Bearer alice-has-a-long-token"}
    async with (
        await WireClient.connect(server.port, headers=headers) as old,
        await WireClient.connect(server.port, headers=headers) as new,
    ):
        await old.register("alice")
        answering = asyncio.ensure_future(old.read_until_closed())
        await new.register("alice")
        assert (await answering).code == 4001


async def test_broken_authentication_lets_nobody_in(site: Site, expect_log: ExpectLog) -> None:
    site.add_plugin(
        "gate",
        "from tornado_webrtc import hookimpl\n"
        "@hookimpl\ndef authenticate(request):\n    raise OSError('the directory is down')\n",
    )
    expect_log("gate")
    server = await site.start("[turn]\napi_access = auth\n")
    async with await WireClient.connect(server.port) as client:
        assert (await client.read_until_closed()).code == 4500
    status, body = await get(server, "/api/turn?service=turn&username=a")
    assert (status, json.loads(body)["error"]["code"]) == (503, "plugin-failed")


# --- life ---------------------------------------------------------------------


async def test_port_in_use_is_said_in_words(site: Site) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        conf = site.folder / "server.ini"
        conf.write_text(
            f"[general]\nbind = 127.0.0.1,\nport = {taken.getsockname()[1]}\n"
            "[plugins]\ndisabled = turn,\n"
        )
        server = Server(*load(conf))
        with pytest.raises(ListenError, match="in use"):
            await server.start()


async def test_two_servers_in_one_process_share_nothing(tmp_path: Path) -> None:
    servers = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        site = Site(tmp_path / name)
        site.add_plugin(
            "greeting",
            "from tornado_webrtc import hookimpl\n"
            "async def greet(message):\n"
            f"    message.reply('greeting', '{name}')\n"
            "@hookimpl\ndef message_types():\n    return {'greeting': greet}\n",
        )
        servers.append(await site.start())
    for server, name in zip(servers, ("one", "two"), strict=True):
        async with await WireClient.connect(server.port) as client:
            assert len(await client.register("1")) == 1
            await client.send("greeting")
            assert await client.read() == {"type": "greeting", "data": name}
    for server in servers:
        await server.stop()


async def test_stop_frees_the_port_and_may_be_called_twice(site: Site) -> None:
    server = await site.start()
    port = server.port
    await server.stop()
    await server.stop()
    with socket.create_server(("127.0.0.1", port)):
        pass


def test_secrets_come_from_the_key_then_the_file_else_one_is_made(tmp_path: Path) -> None:
    state = StateDir(tmp_path / "state")
    file = tmp_path / "secret"
    file.write_text("from-the-file-1\nfrom-the-file-2\n")
    assert read_secrets(Turn(secret=("a", "b"), secret_file=file), state) == (
        "a",
        "b",
        "from-the-file-1",
        "from-the-file-2",
    )
    made = read_secrets(Turn(), state)
    assert made == read_secrets(Turn(), state)
    assert len(made[0]) >= 32
    file.write_text("\n")
    with pytest.raises(StateError, match="empty"):
        read_secrets(Turn(secret_file=file), state)
    with pytest.raises(StateError, match="cannot read"):
        read_secrets(Turn(secret_file=tmp_path / "missing"), state)
