"""The page's files: all that is in the folder, and nothing that is not, however it is asked for."""

import asyncio
import logging
import mimetypes
import os
from pathlib import Path
from urllib.parse import unquote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.web.conftest import Serve
from tests.web.rawhttp import Answer, assert_secure, exchange, fetch, parse
from tornado_webrtc.paths import www_dir
from tornado_webrtc.server import Server

SECRET = b"TOP SECRET"
INDEX = b"<!doctype html><title>home</title>"
SCRIPT = b"export const answer = 42\n"

# What a browser is told of a file, by its name.
TYPES = {
    "index.html": "text/html; charset=utf-8",
    "app.js": "text/javascript; charset=utf-8",
    "APP.JS": "text/javascript; charset=utf-8",
    "app.mjs": "text/javascript; charset=utf-8",
    "style.css": "text/css; charset=utf-8",
    "notes.txt": "text/plain; charset=utf-8",
    "data.json": "application/json",
    "app.webmanifest": "application/manifest+json",
    "code.wasm": "application/wasm",
    "icon.svg": "image/svg+xml",
    "photo.png": "image/png",
    "unknown.xyz123": "application/octet-stream",
    "LICENSE": "application/octet-stream",
    "with space.txt": "text/plain; charset=utf-8",
    "grüße.txt": "text/plain; charset=utf-8",
    "a..b.txt": "text/plain; charset=utf-8",
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Make a page's folder, and around it what nobody shall get."""
    root = tmp_path / "www"
    challenge = root / ".well-known" / "acme-challenge"
    for folder in (root / "js", root / "empty", root / ".git", challenge, tmp_path / "www-old"):
        folder.mkdir(parents=True)
    for name in TYPES:
        (root / name).write_bytes(f"content of {name}".encode())
    (root / "index.html").write_bytes(INDEX)
    (root / "js" / "main.js").write_bytes(SCRIPT)
    (root / "js" / "index.html").write_bytes(b"scripts")
    (challenge / "TOKEN-_1").write_bytes(b"TOKEN-_1.thumbprint")
    for secret in (
        tmp_path / "secret.txt",
        tmp_path / "www-old" / "index.html",
        root / ".env",
        root / ".git" / "config",
        root / "js" / ".hidden.js",
        root / ".well-known" / "security.txt",
        root / ".well-known" / "other",
        challenge / ".hidden",
    ):
        secret.write_bytes(SECRET)
    (root / "out.txt").symlink_to(tmp_path / "secret.txt")
    (root / "outdir").symlink_to(tmp_path)
    (root / "passwd").symlink_to("/etc/passwd")
    (root / "loop").symlink_to("loop")
    (root / "dangling").symlink_to("nowhere")
    (root / "inside.js").symlink_to("js/main.js")
    os.mkfifo(root / "pipe")
    return root


@pytest.fixture
async def server(serve: Serve, root: Path) -> Server:
    return await serve(general={"html_root": root})


@pytest.fixture
def port(server: Server) -> int:
    return server.port


# --- what is served ---------------------------------------------------------------


async def test_packaged_page_is_served_by_default(serve: Serve) -> None:
    server = await serve()
    answer = await fetch(server.port, "/")
    assert answer.body == (www_dir() / "index.html").read_bytes()
    assert_secure(answer)


@pytest.mark.parametrize(
    ("target", "body"),
    [
        ("/", INDEX),
        ("/?query=is/../ignored", INDEX),
        ("/index.html", INDEX),
        ("/js/", b"scripts"),
        ("/js/main.js", SCRIPT),
        ("/js/%6dain.js", SCRIPT),
        ("/js/./main.js", SCRIPT),
        ("/with%20space.txt", b"content of with space.txt"),
        ("/gr%C3%BC%C3%9Fe.txt", "content of grüße.txt".encode()),
        ("/a..b.txt", b"content of a..b.txt"),
        ("/inside.js", SCRIPT),
    ],
)
async def test_file_is_served(port: int, target: str, body: bytes) -> None:
    answer = await fetch(port, target)
    assert (answer.status, answer.body) == (200, body)
    assert_secure(answer)


@pytest.mark.parametrize("name", TYPES)
async def test_content_type(port: int, name: str) -> None:
    target = "/" + name.replace(" ", "%20").replace("ü", "%C3%BC").replace("ß", "%C3%9F")
    answer = await fetch(port, target)
    assert answer.status == 200
    assert answer.headers["Content-Type"] == TYPES[name]


async def test_content_type_does_not_depend_on_this_machine(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some systems say text/plain for .js, and then no browser runs a module."""
    monkeypatch.setitem(mimetypes.types_map, ".js", "text/plain")
    answer = await fetch(port, "/app.js")
    assert answer.headers["Content-Type"] == "text/javascript; charset=utf-8"


async def test_acme_challenge_is_served(port: int) -> None:
    answer = await fetch(port, "/.well-known/acme-challenge/TOKEN-_1")
    assert (answer.status, answer.body) == (200, b"TOKEN-_1.thumbprint")
    assert_secure(answer)


async def test_folder_without_a_slash_is_redirected_and_stays_on_this_host(port: int) -> None:
    answer = await fetch(port, "/js")
    assert answer.status == 301
    assert answer.headers["Location"] == "/js/"
    assert_secure(answer)
    for target in (
        "//js",
        "///js",
        "/\\js",
        "//evil.example/..",
        "/%2fjs",
        "//evil.example/%2e%2e",
    ):
        answer = await fetch(port, target)
        assert answer.status == 404
        assert "Location" not in answer.headers


# --- what is not ------------------------------------------------------------------


@pytest.mark.parametrize(
    "target",
    [
        "/nowhere",
        "/nowhere/",
        "/index.html/index.html",
        "/empty/",
        "/outdir/",
        "/outdir",
        "/pipe",
        "/dangling",
        "/loop",
        "/loop/",
        "/" + "a" * 300,
        "/" + "a/" * 3000,
        "/..",
        "/js/..",
        "/js/../",
    ],
)
async def test_nothing_there_is_404(port: int, target: str) -> None:
    answer = await fetch(port, target)
    assert (answer.status, answer.text) == (404, "404 Not Found\n")
    assert_secure(answer)


async def test_folder_without_index_is_never_listed(port: int, root: Path) -> None:
    (root / "js" / "index.html").unlink()
    answer = await fetch(port, "/js/")
    assert answer.status == 404
    assert b"main.js" not in answer.body


@pytest.mark.parametrize(
    "target",
    [
        "/.env",
        "/%2eenv",
        "/.git/config",
        "/%2Egit/config",
        "/.git/",
        "/.git",
        "/js/.hidden.js",
        "/js//.hidden.js",
        "/.well-known",
        "/.well-known/",
        "/.well-known/other",
        "/.well-known/security.txt",
        "/.well-known/acme-challenge/",
        "/.well-known/acme-challenge/.hidden",
        "/.well-known/acme-challenge/%2ehidden",
        "/.well-known/acme-challenge/../other",
        "/.well-known/acme-challenge/..%2fother",
        "/.well-known/acme-challenge/../../.env",
        "/.well-known/acme-challenge/%2e%2e/%2e%2e/%2eenv",
        "/js/.well-known/acme-challenge/../../../.env",
        "/.WELL-KNOWN/acme-challenge/TOKEN-_1",
    ],
)
async def test_dotfile_is_not_there(port: int, target: str) -> None:
    answer = await fetch(port, target)
    assert answer.status == 404
    assert_secure(answer)


ESCAPES = [
    "/../secret.txt",
    "/../../../../../../../../etc/passwd",
    "/js/../../secret.txt",
    "/./../secret.txt",
    "/..//secret.txt",
    "//../secret.txt",
    "/js/..;/../secret.txt",
    "/%2e%2e/secret.txt",
    "/%2E%2E/secret.txt",
    "/%2e./secret.txt",
    "/.%2e/secret.txt",
    "/..%2fsecret.txt",
    "/..%2Fsecret.txt",
    "/%2e%2e%2fsecret.txt",
    "/%2f..%2fsecret.txt",
    "/js%2f..%2f..%2fsecret.txt",
    "/%252e%252e/secret.txt",
    "/%252e%252e%252fsecret.txt",
    "/%c0%ae%c0%ae/secret.txt",
    "/%c0%ae%c0%ae%c0%afsecret.txt",
    "/%e0%80%ae%e0%80%ae/secret.txt",
    "/%uff0e%uff0e/secret.txt",
    "/%ef%bc%8e%ef%bc%8e/secret.txt",
    "/..\\secret.txt",
    "/..%5csecret.txt",
    "/%5c..%5csecret.txt",
    "\\..\\secret.txt",
    "/....//secret.txt",
    "/...//secret.txt",
    "/../www-old/index.html",
    "/..www-old/index.html",
    "-old/index.html",
    "/-old/index.html",
    "//etc/passwd",
    "///etc/passwd",
    "/%2fetc%2fpasswd",
    "/%2Fetc/passwd",
    "//%2e%2e/secret.txt",
    "/file:///etc/passwd",
    "file:///etc/passwd",
    "/~root/",
    "/~",
    "/C:/secret.txt",
    "/passwd",
    "/out.txt",
    "/outdir/secret.txt",
    "/outdir/www/../secret.txt",
    "/js/main.js%00",
    "/%00",
    "/js%00/main.js",
    "/..%00/secret.txt",
    "/%2e%2e%00/secret.txt",
    "/../secret.txt%00.html",
    "/.env%00",
    "/js/main.js%0a",
    "/%0d%0aX-Injected:%20yes",
    "/js/main.js/../../../secret.txt",
    "/index.html/../../secret.txt",
    "/%",
    "/%2",
    "/%zz",
    "/%ff%fe",
    "/%ed%a0%80",
]


PIECES = [
    *("/", "//", "..", ".", "%2e", "%2f", "%5c", "\\", "%00", "%25", "%c0%ae", "?", "#", ";"),
    *("js", "www", "secret.txt", "-old", "outdir", "out.txt", "notes.txt", "index.html"),
    *(".env", ".git", ".well-known", "acme-challenge", ".hidden"),
]


@pytest.mark.parametrize("target", ESCAPES)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_nobody_gets_out_of_the_folder(port: int, target: str, method: str) -> None:
    answer = await fetch(port, target, method=method)
    assert answer.status in {400, 404}
    assert SECRET not in answer.body
    assert b"root:" not in answer.body
    assert "X-Injected" not in answer.headers
    assert_secure(answer)


async def test_query_and_fragment_are_no_way_out_either(port: int, root: Path) -> None:
    targets = (
        "/?/../../secret.txt",
        f"/?path={root.parent}/secret.txt",
        "/#/../../secret.txt",
        "/index.html?../../secret.txt",
    )
    for target in targets:
        answer = await fetch(port, target)
        assert answer.status in {200, 404}
        assert SECRET not in answer.body


@pytest.mark.parametrize(
    "request_line",
    [
        b"GET /\0../secret.txt HTTP/1.1",
        b"GET /../secret.txt\0 HTTP/1.1",
        b"GET /\xff\xfe HTTP/1.1",
        b"GET /\x1b[31m HTTP/1.1",
        b"GET /.. /secret.txt HTTP/1.1",
        b"GET /\t../secret.txt HTTP/1.1",
        b"GET ../secret.txt HTTP/1.1",
        b"GET http://localhost/../secret.txt HTTP/1.1",
        b"GET ../secret.txt",
    ],
)
async def test_raw_bytes_are_no_way_out(port: int, request_line: bytes) -> None:
    raw = await exchange(port, request_line + b"\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert SECRET not in raw
    assert not raw or parse(raw).status in {400, 404}


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pieces=st.lists(st.sampled_from(PIECES), max_size=12))
async def test_no_combination_gets_out(port: int, root: Path, pieces: list[str]) -> None:
    answer = await fetch(port, f"/{''.join(pieces)}")
    assert answer.status in {200, 301, 400, 404}
    assert SECRET not in answer.body
    if answer.status == 200:
        public = {INDEX, b"scripts", *(f"content of {name}".encode() for name in TYPES)}
        assert answer.body in public
    if answer.status == 301:
        target = answer.headers["Location"]
        assert not target.startswith("//")
        assert (root / unquote(target).lstrip("/")).is_dir()


# --- caching ----------------------------------------------------------------------


async def test_file_that_did_not_change_is_not_sent_again(port: int) -> None:
    first = await fetch(port, "/js/main.js")
    assert first.headers["Cache-Control"] == "no-cache"
    for tag in (first.headers["Etag"], f'"x", {first.headers["Etag"]}', "*"):
        again = await fetch(port, "/js/main.js", headers={"If-None-Match": tag})
        assert (again.status, again.body) == (304, b"")
        assert again.headers["Etag"] == first.headers["Etag"]
        assert_secure(again)
    modified = {"If-Modified-Since": first.headers["Last-Modified"]}
    assert (await fetch(port, "/js/main.js", headers=modified)).status == 304
    other = {"If-None-Match": '"another"', **modified}
    assert (await fetch(port, "/js/main.js", headers=other)).status == 200


@pytest.mark.parametrize("how", ["written", "renamed over"])
@pytest.mark.parametrize("content", [b"export const answer = 43\n", b"", b"longer" * 1000])
async def test_file_replaced_while_serving_is_sent_anew(
    port: int, root: Path, how: str, content: bytes
) -> None:
    path = root / "js" / "main.js"
    first = await fetch(port, "/js/main.js")
    if how == "written":
        path.write_bytes(content)
    else:
        draft = root / "js" / "draft"
        draft.write_bytes(content)
        draft.replace(path)
    second = await fetch(port, "/js/main.js", headers={"If-None-Match": first.headers["Etag"]})
    assert (second.status, second.body) == (200, content)
    assert second.headers["Etag"] != first.headers["Etag"]


async def test_file_removed_while_serving_is_gone(port: int, root: Path) -> None:
    first = await fetch(port, "/js/main.js")
    (root / "js" / "main.js").unlink()
    headers = {"If-None-Match": first.headers["Etag"]}
    assert (await fetch(port, "/js/main.js", headers=headers)).status == 404


@pytest.mark.parametrize(
    ("target", "cached"),
    [
        ("/", "no-cache"),
        ("/index.html", "no-cache"),
        ("/app.js", "no-cache"),
        ("/photo.png", "max-age=3600"),
        ("/js/", "no-cache"),
    ],
)
async def test_what_a_browser_may_keep(port: int, target: str, cached: str) -> None:
    assert (await fetch(port, target)).headers["Cache-Control"] == cached


# --- methods and ranges -------------------------------------------------------------


@pytest.mark.parametrize("target", ["/", "/js/main.js", "/photo.png"])
async def test_head_is_get_without_a_body(port: int, target: str) -> None:
    get, head = await fetch(port, target), await fetch(port, target, method="HEAD")
    assert head.status == 200
    assert head.body == b""
    ignored = {"Date", "X-Request-Id"}
    assert {item for item in head.headers.get_all() if item[0] not in ignored} == {
        item for item in get.headers.get_all() if item[0] not in ignored
    }


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"])
async def test_other_methods_are_not_allowed(port: int, method: str) -> None:
    answer = await fetch(port, "/", method=method)
    assert (answer.status, answer.text) == (405, "405 Method Not Allowed\n")
    assert answer.headers["Allow"] == "GET, HEAD"
    assert_secure(answer)


@pytest.mark.parametrize(
    ("wanted", "status", "body", "content_range"),
    [
        ("bytes=0-5", 206, SCRIPT[:6], "bytes 0-5/25"),
        ("bytes=7-", 206, SCRIPT[7:], "bytes 7-24/25"),
        ("bytes=-4", 206, SCRIPT[-4:], "bytes 21-24/25"),
        ("bytes=0-", 200, SCRIPT, None),
        ("bytes=0-9999", 200, SCRIPT, None),
        ("bytes=-9999", 200, SCRIPT, None),
        ("bytes=25-", 416, b"", "bytes */25"),
        ("bytes=-0", 416, b"", "bytes */25"),
        ("bytes=nonsense", 200, SCRIPT, None),
        ("bytes=5-2", None, None, None),
        ("bytes=0-1,3-4", 200, SCRIPT, None),
        ("lines=1-2", 200, SCRIPT, None),
        (f"bytes={'9' * 400}-", None, None, None),
    ],
)
async def test_range(
    port: int, wanted: str, status: int | None, body: bytes | None, content_range: str | None
) -> None:
    answer = await fetch(port, "/js/main.js", headers={"Range": wanted})
    assert_secure(answer)
    if status is None:
        assert answer.status in {200, 416}
        return
    assert (answer.status, answer.body) == (status, body)
    assert answer.headers.get("Content-Range") == content_range


async def test_large_file_arrives_whole(port: int, root: Path) -> None:
    content = os.urandom(3_000_000)
    (root / "film.bin").write_bytes(content)
    assert (await fetch(port, "/film.bin")).body == content


async def test_reader_that_goes_away_is_no_trouble(server: Server, root: Path) -> None:
    (root / "film.bin").write_bytes(bytes(30_000_000))
    _, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(b"GET /film.bin HTTP/1.1\r\nHost: x\r\n\r\n")
    await writer.drain()
    writer.transport.abort()
    answer: Answer = await fetch(server.port, "/")
    assert answer.status == 200


async def test_hostile_requests_leave_no_warnings(
    port: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    await fetch(port, "//etc/passwd?token=s3cr3t")
    await fetch(port, "/out.txt?token=s3cr3t")
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert "s3cr3t" not in caplog.text
