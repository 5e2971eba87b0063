"""docs/certificates.md: its configurations are right, and its nginx does what it says."""

import asyncio
import os
import re
import shlex
import shutil
import socket
import ssl
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_network
from pathlib import Path

import pytest

from tests.web.conftest import Serve, serve
from tests.wire import WireClient, until, upgrade_request
from tornado_webrtc.certificate import write_certificate
from tornado_webrtc.config import Config, load

__all__ = ["serve"]

PROGRAM = f"{shlex.quote(sys.executable)} -m tornado_webrtc"
only_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
GUIDE = (Path(__file__).resolve().parents[2] / "docs" / "certificates.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", GUIDE, re.DOTALL)


@pytest.mark.parametrize("text", blocks("ini"))
def test_configurations_are_right(text: str, tmp_path: Path) -> None:
    for name in ("cert.pem", "key.pem", "tls/fullchain.pem", "tls/privkey.pem"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "acme").mkdir()
    path = tmp_path / "server.ini"
    path.write_text(text)
    assert load(path, {}).warnings == ()


def test_one_configuration_is_for_each_way(tmp_path: Path) -> None:
    development, acme, proxy = blocks("ini")
    assert "cert = cert.pem" in development
    assert "challenge_dir = acme" in acme
    path = tmp_path / "server.ini"
    path.write_text(proxy)
    general = load(path, {}).general
    assert general.trusted_proxies == (ip_network("127.0.0.1"), ip_network("::1"))
    assert general.port == Config().general.port


def test_challenges_are_put_where_they_are_looked_for() -> None:
    assert "certbot certonly --webroot -w /etc/tornado-webrtc/acme" in GUIDE
    assert "challenge_dir = acme" in GUIDE
    assert "`/etc/tornado-webrtc/server.ini` here" in GUIDE


def run_as_root(block: str, folder: Path) -> dict[str, tuple[str, str, int]]:
    """Run a block for a folder, and a service that runs as daemon; return who may do what."""
    for place in ("/etc", "/var/lib"):
        block = block.replace(f"{place}/tornado-webrtc", str(folder / Path(place).name))
    block = re.sub(r"(-g |chgrp |chown |root:)tornado-webrtc\b", r"\1daemon", block)
    functions = f'systemctl() {{ :; }}; tornado-webrtc() {{ {PROGRAM} "$@"; }}'
    bash = shutil.which("bash")
    assert bash
    command = [bash, "-c", f"set -eu; umask 77; {functions}\n{block}"]
    subprocess.run(command, check=True, capture_output=True)
    return {
        path.relative_to(folder).as_posix(): (path.owner(), path.group(), _mode(path))
        for path in folder.rglob("*")
    }


@only_root
def test_what_root_made_the_server_can_read_and_not_change(tmp_path: Path) -> None:
    """Root works in both folders later: nobody else may put a link there."""
    (block,) = [block for block in blocks("sh") if "cert make tls/" in block]
    assert block.index("chmod 640") < block.index("systemctl start")
    (tmp_path / "etc").mkdir(mode=0o750)
    assert run_as_root(block, tmp_path) == {
        "etc": ("root", "root", 0o750),
        "etc/acme": ("root", "root", 0o755),
        "etc/tls": ("root", "daemon", 0o750),
        "etc/tls/fullchain.pem": ("root", "root", 0o644),
        "etc/tls/privkey.pem": ("root", "daemon", 0o640),
    }


@only_root
def test_folder_that_the_first_hour_makes_stays_roots(tmp_path: Path) -> None:
    """docs/operating.md: what comes later is done there by root, too."""
    text = (Path(__file__).resolve().parents[2] / "docs" / "operating.md").read_text()
    (block,) = re.findall(r"```sh\n(tornado-webrtc init .*?)```", text, re.DOTALL)
    assert run_as_root(block, tmp_path) == {
        "etc": ("root", "daemon", 0o750),
        "etc/certs": ("root", "daemon", 0o750),
        "etc/certs/cert.pem": ("root", "daemon", 0o644),
        "etc/certs/key.pem": ("root", "daemon", 0o640),
        "etc/server.ini": ("root", "daemon", 0o640),
        "etc/secret": ("daemon", "daemon", 0o600),
        "lib": ("daemon", "daemon", 0o700),
    }


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_hook_names_the_command_by_its_whole_path() -> None:
    (hook,) = [block for block in blocks("sh") if block.startswith("#!")]
    assert "\n/opt/tornado-webrtc/current/bin/tornado-webrtc reload --conf " in hook


# --- nginx --------------------------------------------------------------------------------

AROUND = """
daemon off;
master_process off;
pid {folder}/pid;
error_log stderr;
events {{ }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    {site}
}}
"""


@contextmanager
def nginx(folder: Path, port: int) -> Iterator[tuple[int, ssl.SSLContext]]:
    """Run nginx as the guide has it, on a port of its own in front of a server's."""
    cert, key = folder / "nginx.pem", folder / "nginx.key"
    write_certificate(cert, key, ["call.example.org"])
    with socket.socket() as kept:  # nobody else takes the port before nginx does
        kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        kept.bind(("127.0.0.1", 0))
        own_port = kept.getsockname()[1]
        (site,) = blocks("nginx")
        site = site.replace("listen 443 ssl;", f"listen 127.0.0.1:{own_port} ssl reuseport;")
        site = site.replace("listen [::]:443 ssl;", "").replace(":8086", f":{port}")
        site = re.sub(r"(ssl_certificate +)\S+;", rf"\g<1>{cert};", site)
        site = re.sub(r"(ssl_certificate_key +)\S+;", rf"\g<1>{key};", site)
        (folder / "nginx.conf").write_text(AROUND.format(folder=folder, site=site))
        command = ["nginx", "-p", str(folder), "-e", "stderr", "-c", str(folder / "nginx.conf")]
        with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
            try:
                yield own_port, ssl.create_default_context(cafile=str(cert))
            finally:
                process.terminate()
                process.wait(10)


def listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


async def connect(port: int, context: ssl.SSLContext, path: str) -> WireClient:
    streams = await asyncio.open_connection(
        "127.0.0.1", port, ssl=context, server_hostname="call.example.org"
    )
    client = WireClient(*streams)
    client.writer.write(upgrade_request(path, {"X-Forwarded-For": "203.0.113.9"}))
    client.head = await client.reader.readuntil(b"\r\n\r\n")
    return client


@pytest.mark.skipif(shutil.which("nginx") is None, reason="nginx is not installed")
async def test_nginx_as_the_guide_has_it(serve: Serve, tmp_path: Path) -> None:
    server = await serve(general={"trusted_proxies": (ip_network("127.0.0.1"),)})
    with nginx(tmp_path, server.port) as (port, context):
        await until(lambda: listens(port))
        async with await connect(port, context, "/ws") as client:
            assert client.head.startswith(b"HTTP/1.1 101 ")
            await client.register("alice")
            (alice,) = server.hub.peers()
            connection = server.hub.connection_of(alice)
            assert connection is not None
            # The proxy appended its own client, which is this test: the rightmost that is
            # not trusted is what the client itself claimed.
            assert alice.remote_ip == "203.0.113.9"
            assert re.fullmatch(r"[0-9a-f]{32}", connection.handshake.request_id)
        async with await connect(port, context, "/healthz") as page:
            assert page.head.startswith(b"HTTP/1.1 200 ")
            assert re.search(rb"(?i)\r\nx-request-id: [0-9a-f]{32}\r\n", page.head)
