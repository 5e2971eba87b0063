"""Files that must exist, values that must fit together, and warnings in words."""

import os
from pathlib import Path

import pytest

from tornado_webrtc.config import Draft
from tornado_webrtc.paths import www_dir

from .conftest import LoadConfig, ProblemsOf, WriteConfig

PRIVATE = "a private address: nobody outside its network can reach it"
WITHOUT_EFFECT = "this key does nothing in this version"
CERT_HINT = "\n    `tornado-webrtc cert make` makes a certificate to try things out with"


def warnings_of(load_config: LoadConfig, text: str) -> list[str]:
    return [
        f"{each.where.rpartition(', ')[2]}: {each.message}" for each in load_config(text).warnings
    ]


@pytest.fixture
def pair(tmp_path: Path) -> str:
    for name in ("cert.pem", "key.pem"):
        (tmp_path / name).touch()
    return "cert = cert.pem\nkey = key.pem"


def test_html_root(load_config: LoadConfig, tmp_path: Path) -> None:
    (tmp_path / "web").mkdir()
    config = load_config("[general]\nhtml_root = web")
    assert config.general.html_root == tmp_path / "web"
    assert config.warnings == ()


def test_missing_html_root(load_config: LoadConfig, tmp_path: Path) -> None:
    config = load_config("[general]\nhtml_root = web")
    assert config.general.html_root == www_dir()
    assert [str(warning) for warning in config.warnings] == [
        (
            f"{tmp_path}/server.ini, line 2, general.html_root: there is no folder {tmp_path}/web,"
            " nor web"
            " in the working directory; the packaged page is served instead"
        )
    ]


def test_state_dir(load_config: LoadConfig, tmp_path: Path) -> None:
    assert load_config("").general.state_dir == tmp_path / "state"
    assert load_config("[general]\nstate_dir = mine").general.state_dir == tmp_path / "mine"


def test_state_dir_of_the_service_manager(load_config: LoadConfig, tmp_path: Path) -> None:
    systemd = {"STATE_DIRECTORY": "/var/lib/one:/var/lib/two"}
    assert load_config("", systemd).general.state_dir == Path("/var/lib/one")
    text = "[general]\nstate_dir = mine"
    assert load_config(text, systemd).general.state_dir == tmp_path / "mine"


def test_state_dir_that_is_a_file(problems_of: ProblemsOf, tmp_path: Path) -> None:
    (tmp_path / "mine").touch()
    assert problems_of("[general]\nstate_dir = mine") == [
        "server.ini, line 2, general.state_dir: mine is a file; a folder is needed"
    ]


def test_certificate(load_config: LoadConfig, tmp_path: Path, pair: str) -> None:
    general = load_config(f"[general]\n{pair}").general
    assert (general.cert, general.key) == (tmp_path / "cert.pem", tmp_path / "key.pem")


def test_empty_certificate_is_plain_http(load_config: LoadConfig) -> None:
    config = load_config("[general]\ncert =\nkey =")
    assert (config.general.cert, config.general.key, config.warnings) == (None, None, ())


def test_missing_certificate(problems_of: ProblemsOf, tmp_path: Path, pair: str) -> None:
    assert pair
    (tmp_path / "cert.pem").unlink()
    (problem,) = problems_of("[general]\ncert = cert.pem\nkey = key.pem")
    assert problem.startswith(
        f"server.ini, line 2, general.cert: there is no file cert.pem,"
        f" nor cert.pem in the working directory{CERT_HINT}"
    )


def test_certificate_without_key(problems_of: ProblemsOf, pair: str) -> None:
    assert pair
    (problem,) = problems_of("[general]\ncert = cert.pem")
    assert problem.startswith(
        "server.ini, line 2, general.cert: cert is set, key is not; both are needed for TLS"
    )


def test_key_without_certificate(problems_of: ProblemsOf, pair: str) -> None:
    assert pair
    (problem,) = problems_of("[general]\nkey = key.pem")
    assert problem.startswith("server.ini, line 2, general.key: key is set, cert is not")


def test_no_complaint_about_the_key_of_a_wrong_certificate(
    problems_of: ProblemsOf, pair: str
) -> None:
    assert pair
    (problem,) = problems_of("[general]\ncert = a, b\nkey = key.pem")
    assert "general.cert: found 'a, b'; allowed is one path" in problem


def test_relative_to_the_working_directory(load_config: LoadConfig, tmp_path: Path) -> None:
    working = tmp_path / "work"
    working.mkdir()
    (working / "cert.pem").touch()
    (working / "key.pem").touch()
    os.chdir(working)
    assert load_config("[general]\ncert=cert.pem\nkey=key.pem").general.cert == Path("cert.pem")


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("[general]\nport = 19303", "general.port"),
        ("[turn]\nport_tcp = 8086", "turn.port_tcp"),
        ("[general]\nport = 9000\n[turn]\nport_tcp = 9000", "turn.port_tcp"),
        ("[turn]\nport_tcp = 8086\nbind = 192.0.2.1", "turn.port_tcp"),
        ("[turn]\nport_tcp = 8086\nbind = localhost", "turn.port_tcp"),
        ("[general]\nbind=::1\n[turn]\nport_tcp = 8086\nbind=::", "turn.port_tcp"),
    ],
)
def test_port_used_twice(problems_of: ProblemsOf, text: str, key: str) -> None:
    (problem,) = problems_of(text)
    assert f", {key}: TCP port " in problem
    assert problem.endswith("on the same address\n    Change one of the two.")


@pytest.mark.parametrize(
    "text",
    [
        "[general]\nport = 0\n[turn]\nport = 0\nport_tcp = 0",
        "[turn]\nport = 8086",
        "[turn]\nport_tcp =",
        "[general]\nbind = 192.0.2.1\n[turn]\nbind = 192.0.2.2\nport_tcp = 8086",
        "[general]\nbind = ::\n[turn]\nbind = 192.0.2.2\nport_tcp = 8086",
    ],
)
def test_ports_that_do_not_clash(load_config: LoadConfig, text: str) -> None:
    assert load_config(text).warnings == ()


def test_tls_port(load_config: LoadConfig, problems_of: ProblemsOf, pair: str) -> None:
    config = load_config(f"[general]\n{pair}\n[turn]\nport_tls = 5349")
    assert config.turn.port_tls == 5349
    assert [str(each).rpartition("turn.")[2] for each in config.warnings] == [
        f"port_tls: {WITHOUT_EFFECT}"
    ]
    assert "port 5349 is that of turn.port_tcp" in "".join(
        problems_of(f"[general]\n{pair}\n[turn]\nport_tls = 5349\nport_tcp = 5349")
    )


def test_tls_port_without_certificate(problems_of: ProblemsOf) -> None:
    (problem,) = problems_of("[turn]\nport_tls = 5349")
    assert "turn.port_tls: general.cert and general.key are needed for it" in problem


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("send_queue_bytes = 2048", "send_queue_bytes"),
        ("max_message_bytes = 2097152", "max_message_bytes"),
    ],
)
def test_queue_for_less_than_a_message(problems_of: ProblemsOf, text: str, key: str) -> None:
    (problem,) = problems_of(f"[signaling]\n{text}")
    assert problem.startswith(f"server.ini, line 2, signaling.{key}: send_queue_bytes (")


@pytest.mark.parametrize(
    "text",
    [
        "[general]\ncert = a, b\n[turn]\nport_tls = 5349",
        "[general]\nport = x\n[turn]\nport_tcp = 8086",
        "[signaling]\nsend_queue_bytes = x\nmax_message_bytes = 16777216",
    ],
)
def test_no_rule_is_applied_to_a_default_that_stands_for_a_wrong_value(
    problems_of: ProblemsOf, text: str
) -> None:
    (problem,) = problems_of(text)
    assert "found '" in problem


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("127.0.0.1", "which leads each client to itself"),
        ("::1", "which leads each client to itself"),
        ("localhost", "which leads each client to itself"),
        (
            "10.0.0.5",
            PRIVATE,
        ),
        (
            "fd00::5",
            PRIVATE,
        ),
        ("203.0.113.5", "an address for documentation, which nobody can reach"),
        ("169.254.1.1", "a link-local address: nobody outside its link can reach it"),
    ],
)
def test_address_that_few_can_reach(load_config: LoadConfig, address: str, words: str) -> None:
    assert warnings_of(load_config, f"[turn]\npublic_ip = {address}") == [
        f"turn.public_ip: clients are told to connect to {address}, {words}"
    ]


@pytest.mark.parametrize("address", ["8.8.8.8", "8.8.8.8/10.0.0.5", "2600::1", "turn.example.org"])
def test_address_that_everybody_can_reach(load_config: LoadConfig, address: str) -> None:
    assert warnings_of(load_config, f"[turn]\npublic_ip = {address}") == []


def test_servers_elsewhere_that_few_can_reach(load_config: LoadConfig) -> None:
    uris = "turn:10.0.0.5:3478?transport=udp, stun:10.0.0.5, turn:[::1], stun:stun.example.org"
    assert warnings_of(load_config, f"[turn]\nuris = {uris}") == [
        f"turn.uris: clients are told to connect to 10.0.0.5, {PRIVATE}",
        "turn.uris: clients are told to connect to ::1, which leads each client to itself",
    ]


@pytest.mark.parametrize("key", ["user_bytes_per_s", "user_bytes_per_day"])
def test_limits_without_effect(load_config: LoadConfig, key: str) -> None:
    assert warnings_of(load_config, f"[turn]\n{key} = 5") == [f"turn.{key}: {WITHOUT_EFFECT}"]
    assert warnings_of(load_config, f"[turn]\n{key} = 0") == []


@pytest.mark.parametrize(
    ("network", "opened"),
    [
        ("0.0.0.0/0", ["loopback", "link-local", "whatever else"]),
        ("::/0", ["loopback", "link-local", "whatever else"]),
        ("128.0.0.0/1", ["link-local", "whatever else"]),
        ("192.0.0.0/2", ["whatever else"]),
        ("8000::/1", ["link-local", "whatever else"]),
        ("169.0.0.0/8", ["link-local"]),
        ("::/64", ["loopback"]),
    ],
)
def test_peers_allowed_by_chance(load_config: LoadConfig, network: str, opened: list[str]) -> None:
    (warning,) = load_config(f"[turn]\nallow_peers = 10.0.0.0/8, {network}").warnings
    assert warning.message.startswith(f"{network} is so wide that it also opens ")
    words = ("loopback", "link-local", "whatever else")
    assert [each for each in words if each in warning.message] == opened


@pytest.mark.parametrize(
    "networks",
    ["10.0.0.0/8, fd00::/8", "127.0.0.0/8, ::1", "169.254.0.0/16, fe80::/10", "8.0.0.0/8"],
)
def test_peers_allowed_by_name(load_config: LoadConfig, networks: str) -> None:
    opened = warnings_of(load_config, f"[turn]\nallow_peers = {networks}")
    assert [each for each in opened if "loopback" in each or "link-local" in each] == []


def test_addresses_of_a_turn_server_that_does_not_run_are_told_to_nobody(
    load_config: LoadConfig, pair: str
) -> None:
    text = f"[general]\n{pair}\ndomain = localhost\n[plugins]\ndisabled = turn,\n[turn]\n"
    assert warnings_of(load_config, f"{text}public_ip = 10.0.0.5") == []
    assert warnings_of(load_config, f"{text}uris = stun:10.0.0.5,") == [
        f"turn.uris: clients are told to connect to 10.0.0.5, {PRIVATE}"
    ]


def test_domain_that_few_can_reach(load_config: LoadConfig, pair: str) -> None:
    (warning,) = warnings_of(load_config, f"[general]\n{pair}\ndomain = localhost")
    assert warning.startswith("general.domain: clients are told to connect to localhost")
    assert warnings_of(load_config, "[general]\ndomain = localhost") == []
    assert warnings_of(load_config, f"[general]\n{pair}\ndomain = demo.example.org") == []


def test_short_secret(load_config: LoadConfig) -> None:
    text = "[turn]\nsecret = 0123456789abcdef, hunter2"
    assert warnings_of(load_config, text) == [
        "turn.secret: a secret of fewer than 16 characters can be guessed"
    ]
    assert warnings_of(load_config, "[turn]\nsecret = 0123456789abcdef") == []


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("0123456789abcdef\n", []),
        ("0123456789abcdef\n\nhunter2\n", ["can be guessed"]),
        ("[turn] and more text\n", []),
        ("bG9uZy1lbm91Z2gtc2VjcmV0cw==\n", []),
        ("#bG9uZy1lbm91Z2gtc2VjcmV0cw\n", []),
        ("realm = flutter-webrtc\n", ["looks like configuration"]),
        ("realm=flutter-webrtc-example\n", ["looks like configuration"]),
        ("[a-section-of-some-length]\n", ["looks like configuration"]),
        ("# what this file is for\n", ["looks like configuration"]),
    ],
)
def test_content_of_the_secret_file(
    load_config: LoadConfig, tmp_path: Path, content: str, words: list[str]
) -> None:
    file = tmp_path / "secret"
    file.write_text(content)
    file.chmod(0o600)
    found = warnings_of(load_config, "[turn]\nsecret_file = secret")
    assert len(found) == len(words)
    for warning, each in zip(found, words, strict=True):
        assert warning.startswith("turn.secret_file: ")
        assert each in warning
        assert "hunter2" not in warning


def test_pipe_is_not_read(problems_of: ProblemsOf, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "secret")
    (problem,) = problems_of("[turn]\nsecret_file = secret")
    assert "there is no file" in problem


@pytest.mark.parametrize("content", [b"\xff\xfe", None])
def test_secret_file_that_cannot_be_read_has_no_warnings(
    load_config: LoadConfig, tmp_path: Path, content: bytes | None
) -> None:
    """Whoever uses it says so."""
    file = tmp_path / "secret"
    file.write_bytes(content or b"")
    file.chmod(0o600)
    assert warnings_of(load_config, "[turn]\nsecret_file = secret") == []


@pytest.mark.parametrize("key", ["secret_file", "users_file"])
def test_files_with_secrets(load_config: LoadConfig, tmp_path: Path, key: str) -> None:
    file = tmp_path / "file"
    file.touch()
    file.chmod(0o600)
    assert warnings_of(load_config, f"[turn]\n{key} = file") == []
    file.chmod(0o644)
    (warning,) = load_config(f"[turn]\n{key} = file").warnings
    assert warning.message == f"other users of this machine can use {file} (mode 0644)"
    assert warning.hint == f"chmod 600 {file}"


def test_redirect_port_needs_a_certificate(
    load_config: LoadConfig, problems_of: ProblemsOf, pair: str
) -> None:
    config = load_config(f"[general]\nredirect_port = 80\n{pair}")
    assert config.general.redirect_port == 80
    (problem,) = problems_of("[general]\nredirect_port = 80")
    assert problem == (
        "server.ini, line 2, general.redirect_port: general.cert and general.key are needed for it"
        f"{CERT_HINT}; leave cert and key empty for plain HTTP, behind a proxy for example."
    )
    (problem,) = problems_of(f"[general]\nport = 80\nredirect_port = 80\n{pair}")
    assert problem.startswith("server.ini, line 3, general.redirect_port: TCP port 80 is that of")


def test_challenge_dir(
    load_config: LoadConfig, problems_of: ProblemsOf, pair: str, tmp_path: Path
) -> None:
    (tmp_path / "acme").mkdir()
    text = "[general]\nchallenge_dir = acme"
    config = load_config(f"{text}\nredirect_port = 80\n{pair}")
    assert (config.general.challenge_dir, config.warnings) == (tmp_path / "acme", ())
    assert warnings_of(load_config, text) == [
        "general.challenge_dir: redirect_port is not set; nobody is shown what is there"
    ]
    (problem,) = problems_of(f"[general]\nchallenge_dir = gone\nredirect_port = 80\n{pair}")
    assert problem.startswith("server.ini, line 2, general.challenge_dir: there is no folder gone")


@pytest.mark.parametrize(
    ("folder", "more", "what"),
    [
        (".", "", "the configuration"),
        ("..", "", "the configuration"),
        ("/", "", "the configuration"),
        ("link", "", "the configuration"),
        ("tls", "key = tls/key.pem\n", "general.key"),
        ("tls", "key = key-link\n", "general.key"),
        ("tls", "state_dir = tls\n", "general.state_dir"),
        ("tls", "state_dir = tls/not/yet\n", "general.state_dir"),
        ("tls", "[turn]\nsecret_file = tls/file\n", "turn.secret_file"),
        ("tls", "[turn]\nusers_file = tls/file\n", "turn.users_file"),
    ],
)
def test_challenge_dir_with_secrets_is_refused(
    problems_of: ProblemsOf, tmp_path: Path, folder: str, more: str, what: str
) -> None:
    (tmp_path / "tls").mkdir()
    for name in ("cert.pem", "key.pem", "file"):
        (tmp_path / "tls" / name).touch(0o600)
    (tmp_path / "tls" / "cert.pem").rename(tmp_path / "cert.pem")
    (tmp_path / "key-link").symlink_to(tmp_path / "tls" / "key.pem")
    (tmp_path / "key.pem").touch(0o600)
    (tmp_path / "link").symlink_to(tmp_path)
    key = "" if "key =" in more else "key = key.pem\n"
    text = f"[general]\nchallenge_dir = {folder}\nredirect_port = 80\ncert = cert.pem\n{key}{more}"
    (problem,) = problems_of(text)
    assert problem.startswith("server.ini, line 2, general.challenge_dir: everybody may read what")
    assert f", and {what} is in there" in problem


@pytest.mark.parametrize("key", ["secret_file", "users_file"])
def test_missing_files_with_secrets(problems_of: ProblemsOf, key: str) -> None:
    assert problems_of(f"[turn]\n{key} = gone") == [
        f"server.ini, line 2, turn.{key}: there is no file gone, nor gone in the working directory"
    ]


def test_missing_file_named_in_the_environment(problems_of: ProblemsOf) -> None:
    assert problems_of("", {"TORNADO_WEBRTC__TURN__USERS_FILE": "/gone"}) == [
        "environment TORNADO_WEBRTC__TURN__USERS_FILE: there is no file /gone"
    ]


@pytest.mark.parametrize(
    ("text", "socket"),
    [
        ("", "state/admin.sock"),
        ("[admin]\nsocket = s", "state/s"),
        ("[general]\nstate_dir = here\n[admin]\nsocket = s", "here/s"),
        ("[admin]\nsocket = /run/s", "/run/s"),
        ("[admin]\nsocket =", None),
    ],
)
def test_socket_path(
    load_config: LoadConfig, tmp_path: Path, text: str, socket: str | None
) -> None:
    expected = None if socket is None else tmp_path / socket
    assert load_config(text).admin_socket == expected
    assert Draft.read(tmp_path / "server.ini", {}).admin_socket == expected


def test_socket_path_that_is_too_long(load_config: LoadConfig, problems_of: ProblemsOf) -> None:
    (problem,) = problems_of(f"[admin]\nsocket = /{'x' * 107}")
    assert problem.startswith("server.ini, line 2, admin.socket: a socket's path has at most 107")
    assert load_config(f"[admin]\nsocket = /{'x' * 106}").warnings == ()


def test_no_socket_in_a_state_directory_that_is_too_long(load_config: LoadConfig) -> None:
    config = load_config(f"[general]\nstate_dir = /{'x' * 107}")
    assert config.admin_socket is None
    (warning,) = config.warnings
    assert "there is no socket for operators" in str(warning)


def test_socket_of_a_configuration_with_other_problems(write_config: WriteConfig) -> None:
    path = write_config("[general]\nport = many\n[unknown]\nx = 1\n[turn]\nrealm = a, b\n")
    assert Draft.read(path, {}).admin_socket == path.parent / "state" / "admin.sock"


def test_plugin_folders(load_config: LoadConfig, problems_of: ProblemsOf, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    assert load_config("[plugins]\npath = mine").plugins.path == (tmp_path / "mine",)
    assert problems_of("[plugins]\npath = mine, gone") == [
        (
            "server.ini, line 2, plugins.path: there is no folder gone,"
            " nor gone in the working directory"
        )
    ]


def test_plugins_that_are_wanted_and_unwanted(
    load_config: LoadConfig, problems_of: ProblemsOf
) -> None:
    assert problems_of("[plugins]\nrequired = a, b\ndisabled = b") == [
        (
            "server.ini, line 2, plugins.required: b is required and disabled"
            "\n    Take it out of one of the two lists."
        )
    ]
    assert warnings_of(load_config, "[plugins]\nenabled = a\ndisabled = a") == [
        "plugins.disabled: a is enabled and disabled; it will not run"
    ]
