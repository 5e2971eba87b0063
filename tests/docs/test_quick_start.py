"""docs/quick-start.md: its commands do what they are shown for, and the three URLs answer."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlencode

import pytest
from tornado.httpclient import AsyncHTTPClient

from tests.deploy.conftest import Good, bare, good, machine, workshop
from tests.deploy.guide import here, run_blocks
from tests.deploy.machine import Machine
from tests.wire import WireClient
from tornado_webrtc.server import Server, load

__all__ = ["bare", "good", "machine", "workshop"]

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


def commands(title: str) -> list[str]:
    """The lines of a chapter's shell blocks; in a list they are indented."""
    chapter = PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]
    blocks = re.findall(r"(?ms)^ *```sh\n(.*?)^ *```$", chapter)
    assert blocks, title
    return [line.strip() for block in blocks for line in block.splitlines()]


def test_commands_on_the_desk(tmp_path: Path) -> None:
    """But for those that serve or install."""
    run, environment, install, init, serve = commands("On your desk")
    assert (run, environment) == ("make run", "python3 -m venv venv")
    assert re.fullmatch(r"venv/bin/pip install tornado_webrtc-[\d.]+-py3-none-any\.whl", install)
    assert serve == "venv/bin/tornado-webrtc --conf my-server/server.ini"
    program, *arguments = shlex.split(init)
    assert program == "venv/bin/tornado-webrtc"
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


@pytest.mark.timeout(300)
@pytest.mark.xdist_group("deploy-refusal")
@pytest.mark.skipif(os.geteuid() != 0, reason="only root installs")
def test_commands_on_the_internet(bare: Machine, good: Good) -> None:
    folder = bare.path / "root"
    folder.mkdir()
    path = good("0.1.0")
    for each in (path, path.with_name(f"{path.name}.sha256")):
        (folder / each.name).write_bytes(each.read_bytes())
    *lines, elsewhere = commands("On the internet")
    assert elsewhere == "tornado-webrtc doctor https://call.example.org/"
    done = run_blocks(bare, [here(line, bare) for line in lines])
    assert done.returncode == 0, f"{done.stdout}{done.stderr}\n{bare.log()}"
    assert "turn udp" in done.stdout, "doctor found the server that deploy.sh started"


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
