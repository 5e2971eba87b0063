"""The plain port: challenges of a certificate authority, and the way to HTTPS for all else."""

import asyncio
import logging
import os
import socket
import ssl
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.web.conftest import Serve
from tests.web.rawhttp import Answer, assert_secure, exchange, fetch, parse
from tornado_webrtc.server import Server
from tornado_webrtc.web.redirect import MAX_CHALLENGE_BYTES, read_challenge

TOKEN = "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr_oA"
AUTHORIZATION = f"{TOKEN}.9jg46WB3rR_AHD-EBXdN7cBkH1WOu0tA3M9fm21mqTI"
ACME = "/.well-known/acme-challenge"


def plain_port(server: Server) -> int:
    return server.redirect_addresses[0].port


async def ask(
    server: Server, target: str | bytes, *, method: str = "GET", body: bytes = b""
) -> Answer:
    return await fetch(plain_port(server), target, method=method, body=body)


async def ask_host(server: Server, host: str, target: str = "/") -> Answer:
    request = f"GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
    return parse(await exchange(plain_port(server), request.encode("latin-1")))


# --- redirects --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "status"),
    [("GET", 301), ("HEAD", 301), ("POST", 308), ("PUT", 308), ("DELETE", 308), ("OPTIONS", 308)],
)
async def test_method_decides_how(serve: Serve, method: str, status: int) -> None:
    server = await serve(tls=True, general={"redirect_port": 0})
    body = b"service=turn" if method in {"POST", "PUT"} else b""
    answer = await ask(server, "/api/turn?a=b", method=method, body=body)
    assert answer.status == status
    assert answer.headers["Location"] == f"https://localhost:{server.port}/api/turn?a=b"
    assert answer.body == b""
    assert "Strict-Transport-Security" not in answer.headers
    assert_secure(answer)


@pytest.mark.parametrize(
    "target",
    [
        "/",
        "/a/b?c=d&e=%20f",
        "//evil.example/x",
        "/\\evil.example",
        "/?next=https://evil.example/",
        "/.well-known/other",
        "/ws?token=x",
    ],
)
async def test_path_and_query_stay(serve: Serve, target: str) -> None:
    server = await serve(tls=True, general={"redirect_port": 0, "domain": "call.example.org"})
    answer = await ask(server, target)
    assert answer.status == 301
    location = answer.headers["Location"]
    assert location.removeprefix(f"https://call.example.org:{server.port}") == target
    assert urlsplit(location).hostname == "call.example.org"


async def test_what_is_not_ascii_is_encoded(serve: Serve) -> None:
    server = await serve(tls=True, general={"redirect_port": 0})
    answer = await ask(server, "/grüße".encode())
    assert answer.headers["Location"].endswith("/gr%C3%BC%C3%9Fe")


@pytest.mark.parametrize(
    ("host", "named"),
    [
        ("example.org", "example.org"),
        ("example.org:80", "example.org"),
        ("192.0.2.1:8080", "192.0.2.1"),
        ("[2001:db8::1]:80", "[2001:db8::1]"),
        ("my_box", "my_box"),
    ],
)
async def test_host_comes_from_the_request_without_a_domain(
    serve: Serve, host: str, named: str
) -> None:
    server = await serve(tls=True, general={"redirect_port": 0})
    answer = await ask_host(server, host)
    assert answer.headers["Location"] == f"https://{named}:{server.port}/"


@pytest.mark.parametrize(
    "host",
    [
        "",
        "a b",
        "user@evil",
        "evil/x",
        "evil?x",
        "evil#x",
        "a:b",
        "é",
        "[::1",
        "x" * 254,
        "a:999999",
    ],
)
async def test_nonsense_for_a_host_is_refused(serve: Serve, host: str) -> None:
    server = await serve(tls=True, general={"redirect_port": 0})
    answer = await ask_host(server, host)
    assert answer.status == 400
    assert "Location" not in answer.headers


async def test_domain_wins_over_the_host(serve: Serve) -> None:
    server = await serve(tls=True, general={"redirect_port": 0, "domain": "call.example.org"})
    for host in ("evil.example", ""):
        answer = await ask_host(server, host)
        assert answer.headers["Location"] == f"https://call.example.org:{server.port}/"


async def test_ipv6_for_a_domain(serve: Serve) -> None:
    server = await serve(tls=True, general={"redirect_port": 0, "domain": "2001:db8::1"})
    answer = await ask(server, "/")
    assert answer.headers["Location"] == f"https://[2001:db8::1]:{server.port}/"


async def test_usual_port_is_not_named(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    server = await serve(tls=True, general={"redirect_port": 0})
    monkeypatch.setattr(Server, "port", 443)
    assert (await ask(server, "/x")).headers["Location"] == "https://localhost/x"


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("http://other.example:81/x?y", "/x?y"),
        ("http://other.example", "/"),
        ("HTTP://other.example?q", "/?q"),
    ],
)
async def test_absolute_form_names_the_host(serve: Serve, target: str, path: str) -> None:
    server = await serve(tls=True, general={"redirect_port": 0})
    answer = await ask_host(server, "localhost", target)
    assert answer.headers["Location"] == f"https://other.example:{server.port}{path}"


@pytest.mark.parametrize("target", ["*", "evil.example:443", "ftp://evil.example/"])
async def test_other_targets_are_refused(serve: Serve, target: str) -> None:
    server = await serve(tls=True, general={"redirect_port": 0})
    answer = await ask(server, target, method="OPTIONS")
    assert answer.status == 400


async def test_redirect_leads_to_the_page(serve: Serve) -> None:
    server = await serve(tls=True, general={"redirect_port": 0})
    location = urlsplit((await ask(server, "/healthz")).headers["Location"])
    context = ssl.create_default_context(cafile=str(server.config.general.cert))
    reader, writer = await asyncio.open_connection(location.hostname, location.port, ssl=context)
    writer.write(
        b"GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" % location.path.encode()
    )
    assert (await asyncio.wait_for(reader.read(), 10)).startswith(b"HTTP/1.1 200 ")
    writer.close()
    await writer.wait_closed()


async def test_redirects_are_logged_without_the_query(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    server = await serve(tls=True, general={"redirect_port": 0})
    answer = await ask(server, "/ws?token=s3cr3t")
    (record,) = [each for each in caplog.records if each.name == "tornado_webrtc.access"]
    assert record.getMessage().startswith("127.0.0.1 GET /ws 301 ")
    assert vars(record)["request_id"] == answer.headers["X-Request-ID"]
    assert "s3cr3t" not in caplog.text
    assert (
        f"http://127.0.0.1:{plain_port(server)}: everybody is sent on to https" in caplog.messages
    )


# --- the port ----------------------------------------------------------------------------


async def test_limits_are_those_of_the_main_port(serve: Serve) -> None:
    server = await serve(tls=True, general={"redirect_port": 0})
    head = b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 20_000 + b"\r\n\r\n"
    assert await exchange(plain_port(server), head) in {b"", b"HTTP/1.1 400 Bad Request\r\n\r\n"}
    body = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 70000\r\n\r\n"
    assert (await exchange(plain_port(server), body)).startswith(b"HTTP/1.1 4")


async def test_port_is_closed_with_the_server(serve: Serve) -> None:
    server = await serve(tls=True, general={"redirect_port": 0})
    port = plain_port(server)
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    await server.stop()
    with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port), 1):
        pass
    writer.close()


async def test_no_port_unless_it_is_asked_for(serve: Serve) -> None:
    assert (await serve(tls=True)).redirect_addresses == []


# --- challenges ------------------------------------------------------------------------------


async def test_certificate_authority_is_shown_what_certbot_put_there(
    serve: Serve, tmp_path: Path
) -> None:
    """RFC 8555 section 8.3, with the two parts played that talk to this server."""
    webroot = tmp_path / "webroot"
    webroot.mkdir()
    general = {"redirect_port": 0, "challenge_dir": webroot, "domain": "call.example.org"}
    server = await serve(tls=True, general=general)
    assert (await ask(server, f"{ACME}/{TOKEN}")).status == 404

    place = webroot / ".well-known" / "acme-challenge"  # certbot certonly --webroot -w webroot
    place.mkdir(parents=True)
    (place / TOKEN).write_text(AUTHORIZATION)
    (place / TOKEN).chmod(0o644)

    answer = await ask_host(server, "call.example.org", f"{ACME}/{TOKEN}")  # the authority
    assert (answer.status, answer.body) == (200, AUTHORIZATION.encode())
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert_secure(answer)

    (place / TOKEN).unlink()  # certbot cleans up
    assert (await ask(server, f"{ACME}/{TOKEN}")).status == 404


async def test_folder_of_the_challenges_themselves(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / TOKEN).write_text(AUTHORIZATION)
    server = await serve(tls=True, general={"redirect_port": 0, "challenge_dir": tmp_path})
    assert (await ask(server, f"{ACME}/{TOKEN}")).body == AUTHORIZATION.encode()
    head = await ask(server, f"{ACME}/{TOKEN}", method="HEAD")
    assert (head.status, head.body) == (200, b"")
    post = await ask(server, f"{ACME}/{TOKEN}", method="POST")
    assert (post.status, post.headers["Allow"]) == (405, "GET, HEAD")


async def test_without_a_folder_challenges_are_sent_on(serve: Serve) -> None:
    server = await serve(tls=True, general={"redirect_port": 0})
    answer = await ask(server, f"{ACME}/{TOKEN}")
    assert answer.headers["Location"] == f"https://localhost:{server.port}{ACME}/{TOKEN}"


@pytest.mark.parametrize(
    "name",
    [
        *("l" * 22, "d" * 22, "p" * 22, "e" * 22, "n" * 21),
        *("", ".", "..", "../secret", "..%2fsecret", "%2e%2e/secret", "a/b", "sub", "a%00b"),
        *(
            "secret.pem",
            "link",
            "pipe",
            "large",
            "short",
            "x" * 257,
            "%2fetc%2fpasswd",
            "/etc/passwd",
            "a b",
        ),
    ],
)
async def test_nothing_else_is_shown(serve: Serve, tmp_path: Path, name: str) -> None:
    (tmp_path / "secret").write_text("no")
    folder = tmp_path / "challenges"
    (folder / ("d" * 22)).mkdir(parents=True)
    (folder / ("l" * 22)).symlink_to(tmp_path / "secret")
    (folder / ("e" * 22)).write_bytes(b"x" * (MAX_CHALLENGE_BYTES + 1))
    os.mkfifo(folder / ("p" * 22))
    for name_too_short in ("short", "n" * 21):
        (folder / name_too_short).write_text("no")
    (folder / "sub").mkdir()
    (folder / "secret.pem").write_text("no")
    (folder / "link").symlink_to(tmp_path / "secret")
    (folder / "large").write_bytes(b"x" * (MAX_CHALLENGE_BYTES + 1))
    os.mkfifo(folder / "pipe")
    server = await serve(tls=True, general={"redirect_port": 0, "challenge_dir": folder})
    answer = await ask(server, f"{ACME}/{name}".replace(" ", "%20"))
    assert answer.status == 404
    assert b"no" not in answer.body.replace(b"404 Not Found\n", b"")


@pytest.mark.parametrize("link", [".well-known", ".well-known/acme-challenge"])
def test_links_within_the_path_are_not_followed(tmp_path: Path, link: str) -> None:
    elsewhere = tmp_path / "etc"
    (elsewhere / "acme-challenge").mkdir(parents=True)
    for folder in (elsewhere, elsewhere / "acme-challenge"):
        (folder / TOKEN).write_text("secret")
    root = tmp_path / "acme"
    (root / link).parent.mkdir(parents=True)
    (root / link).symlink_to(elsewhere)
    assert read_challenge(root, TOKEN) is None
    (tmp_path / "root").symlink_to(elsewhere)
    assert read_challenge(tmp_path / "root", TOKEN) == b"secret", "the folder itself may be one"


def test_nothing_stays_open(tmp_path: Path) -> None:
    folder = Path("/proc/self/fd")
    before = len(list(folder.iterdir()))
    (tmp_path / TOKEN).write_text("x")
    for token in (TOKEN, "x" * 30):
        read_challenge(tmp_path, token)
    assert len(list(folder.iterdir())) == before


async def test_challenges_are_logged_as_quietly_as_redirects(
    serve: Serve, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    server = await serve(tls=True, general={"redirect_port": 0, "challenge_dir": tmp_path})
    first = f"GET {ACME}/{TOKEN} HTTP/1.1\r\nHost: x\r\n\r\n"
    close = "Host: x\r\nConnection: close\r\n\r\n"
    second = f"{'E' * 5000} {ACME}/{'x' * 9000} HTTP/1.1\r\n{close}"
    await exchange(plain_port(server), (first + second).encode())
    usual, hostile = [each for each in caplog.records if each.name == "tornado_webrtc.access"]
    assert (usual.levelname, hostile.levelname) == ("DEBUG", "DEBUG")
    assert vars(usual)["path"] == f"{ACME}/{TOKEN}"
    assert len(hostile.getMessage()) < 350
    assert vars(hostile)["method"] == "E" * 23 + "…"
    assert vars(hostile)["path"] == f"{ACME}/{'x' * 9000}"[:255] + "…"


def test_folder_that_is_gone(tmp_path: Path) -> None:
    assert read_challenge(tmp_path / "gone", TOKEN) is None
