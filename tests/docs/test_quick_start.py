"""docs/quick-start.md: its commands do what they are shown for, and the three URLs answer."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlencode

from tornado.httpclient import AsyncHTTPClient

from tests.wire import WireClient
from tornado_webrtc import __version__
from tornado_webrtc.server import Server, load

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "quick-start.md").read_text(encoding="utf-8")
CONF = """
[general]
bind = 127.0.0.1,
port = 0
[admin]
socket =
[turn]
bind = 127.0.0.1,
public_ip = 127.0.0.1,
port = 0
port_tcp = 0
allow_peers = 127.0.0.0/8,
"""


def commands() -> list[list[str]]:
    blocks = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    return [shlex.split(line) for block in blocks for line in block.splitlines() if line.strip()]


def test_commands_run_in_order(tmp_path: Path) -> None:
    """But for those that serve, install or ask a host of the internet."""
    ours = [words for words in commands() if words[0].endswith("tornado-webrtc")]
    verbs = [words[1] for words in ours]
    assert verbs == ["init", "--conf", "init", "check", "doctor"]
    for words in ours:
        if words[1] in {"init", "check"}:
            arguments = [each.replace("/etc", str(tmp_path)) for each in words[1:]]
            result = subprocess.run(
                [sys.executable, "-m", "tornado_webrtc", *arguments],
                cwd=tmp_path,
                capture_output=True,
                text=True,
                timeout=40,
                check=False,
            )
            assert result.returncode == 0, result.stdout + result.stderr
    assert (tmp_path / "my-server" / "server.ini").is_file()
    assert (tmp_path / "tornado-webrtc" / "server.ini").is_file()


def test_other_commands_are_those_that_are_tested_elsewhere() -> None:
    others = [" ".join(words) for words in commands() if not words[0].endswith("tornado-webrtc")]
    wheel = f"tornado_webrtc-{__version__}-py3-none-any.whl"
    assert others == ["make run", "python3 -m venv venv", f"venv/bin/pip install {wheel}"]


async def test_what_a_client_needs(tmp_path: Path) -> None:
    path = tmp_path / "server.ini"
    path.write_text(CONF)
    server = Server(*load(path))
    await server.start()
    try:
        hello = re.search(r'`(\{"type": "new".*?\})`', PAGE)
        assert hello is not None
        async with await WireClient.connect(server.port) as client:
            message = json.loads(hello[1].replace('"…"', '"123456"', 1))
            await client.send(message["type"], message["data"])
            assert (await client.read())["data"][0]["id"] == "123456"
        (query,) = re.findall(r"https://HOST/api/turn\?(\S+)`", PAGE)
        assert query == urlencode({"service": "turn", "username": "ID", "format": "ice"})
        url = f"http://127.0.0.1:{server.port}/api/turn?{query}"
        answer = json.loads((await AsyncHTTPClient().fetch(url)).body)
        assert any("turn:127.0.0.1" in url for each in answer["iceServers"] for url in each["urls"])
    finally:
        await server.stop()
