"""Files made wrong by hand, and exactly what is said about each of them."""

import os
import re
from pathlib import Path

import pytest

from tornado_webrtc.config import load
from tornado_webrtc.errors import ConfigError

from .conftest import LoadConfig, ProblemsOf

PORT = "allowed is a port from 1 to 65535, or 0 for any free one"
NETWORK = "allowed is a network such as 10.0.0.0/8 or fd00::/8, or a single address"
ORIGIN = "allowed is * or SCHEME://HOST[:PORT] such as https://example.org or https://*.example.org"
ICE = (
    "allowed is stun:HOST[:PORT], stuns:HOST[:PORT], turn:HOST[:PORT][?transport=udp|tcp] or"
    " turns:HOST[:PORT][?transport=udp|tcp], IPv6 addresses in brackets, without //"
)
PUBLIC = "allowed is an IP address, a host name, or PUBLIC/PRIVATE such as 203.0.113.5/10.0.0.5"
FAMILIES = "allowed is at most one address per family: one IPv4, one IPv6, or one of both"
HOST = "allowed is a host name or an IP address, without scheme, port and path"
RANGE = "allowed is FIRST-LAST such as 49152-65535, or a single port, from 1024 to 65535"
UNREADABLE = "the value cannot be read: a quote is not closed, or an entry of a list is empty"
CERT_HINT = (
    "`tornado-webrtc cert make` makes a certificate to try things out with; leave cert and key "
    "empty for plain HTTP, behind a proxy for example."
)
NO_SECTION = "there is neither a section of the core nor a plugin of this name"

# The text, then what is said about it: line, key, message and, where there is one, hint.
TABLE: list[tuple[str, list[str]]] = [
    (
        "port = 8086",
        [
            (
                "line 1: the key port stands before the first [section]"
                " | Put it below its section's heading."
            )
        ],
    ),
    (
        "[general]\nport = 80800",
        [f"line 2, general.port: found '80800'; {PORT}"],
    ),
    (
        "[general]\nport =",
        [f"line 2, general.port: found nothing; {PORT}"],
    ),
    (
        "[general]\nport = 8086, 8087",
        [
            (
                f"line 2, general.port: found '8086, 8087'; {PORT}"
                " | Put the value in quotes if the comma belongs to it."
            )
        ],
    ),
    (
        "[general]\nport = 8086 ; web",
        [
            (
                f"line 2, general.port: found '8086 ; web'; {PORT} | `;` begins"
                " a comment only at the"
                " start of a line, here it is part of the value;"
                " put the value in quotes if that is meant"
            )
        ],
    ),
    (
        "[general]\n[[port]]\nx = 1",
        ["line 2, general.port: this is a section; a key is expected: port = ..."],
    ),
    (
        "[general]\nprot = 8086",
        ["line 2, general.prot: this key is not known | Did you mean port?"],
    ),
    (
        "[general]\nPort = 8086",
        ["line 2, general.Port: this key is not known | Did you mean port?"],
    ),
    (
        "[general]\nrealm = x",
        ["line 2, general.realm: this key is not known | It belongs in [turn]."],
    ),
    (
        "[general]\nport = 1\n\nport = 2",
        ["line 4, general.port: the same name stands in line 2 already | Keep one of the two."],
    ),
    (
        "[general]\n[turn]\n[general]\nport = x",
        [
            (
                "line 3, [general]: the same name stands in line 1 already"
                " | The keys below this heading are not checked yet."
            )
        ],
    ),
    (
        "[general]\ndomain = https://example.org",
        [f"line 2, general.domain: found 'https://example.org'; {HOST}"],
    ),
    (
        "[general]\ndomain = bücher.example",
        [
            (
                f"line 2, general.domain: found 'bücher.example'; {HOST};"
                " names beyond ASCII in their xn-- form"
            )
        ],
    ),
    (
        "[general]\nbind = *",
        [
            (
                "line 2, general.bind: found '*'; allowed is an address of this machine;"
                " 0.0.0.0 and :: mean all of them"
            )
        ],
    ),
    (
        "[general]\nbind =",
        [
            (
                "line 2, general.bind: found nothing; allowed is a list of at least one address,"
                " none of them twice"
            )
        ],
    ),
    (
        "[general]\ncert = gone.pem\nkey = gone.key",
        [
            (
                "line 2, general.cert: there is no file gone.pem,"
                " nor gone.pem in the working directory"
                f" | {CERT_HINT}"
            ),
            (
                "line 3, general.key: there is no file gone.key,"
                " nor gone.key in the working directory"
                f" | {CERT_HINT}"
            ),
        ],
    ),
    (
        "[general]\nkey = server.ini",
        [(f"line 2, general.key: key is set, cert is not; both are needed for TLS | {CERT_HINT}")],
    ),
    (
        "[general]\nevent_loop = trio",
        ["line 2, general.event_loop: found 'trio'; allowed is one of auto, asyncio, uvloop"],
    ),
    (
        "[general]\nlog_level = debug",
        [
            (
                "line 2, general.log_level: found 'debug'; allowed is one of"
                " DEBUG, INFO, WARNING, ERROR"
                " | Did you mean DEBUG?"
            )
        ],
    ),
    (
        "[general]\ntrusted_proxies = 10.0.0.0/8, 10.0.0.1/8",
        [
            (
                f"line 2, general.trusted_proxies: found '10.0.0.1/8'; {NETWORK};"
                " the network that holds this address is 10.0.0.0/8"
            )
        ],
    ),
    (
        "[general]\nnode_id = my node",
        [
            (
                "line 2, general.node_id: found 'my node'; allowed is up to 64 letters, digits,"
                " dots,"
                " underscores and hyphens"
            )
        ],
    ),
    (
        "[general]\nstate_dir = server.ini",
        ["line 2, general.state_dir: server.ini is a file; a folder is needed"],
    ),
    (
        "[signaling]\nheartbeat_s = 5s",
        [
            (
                "line 2, signaling.heartbeat_s: found '5s'; allowed is a number of seconds"
                " from 0 to 3600, without a unit"
            )
        ],
    ),
    (
        "[signaling]\nping_s = -1",
        [
            (
                "line 2, signaling.ping_s: found '-1'; allowed is a number of seconds"
                " from 0 to 3600, without a unit"
            )
        ],
    ),
    (
        "[signaling]\nmax_message_bytes = 64k",
        [
            (
                "line 2, signaling.max_message_bytes: found '64k'; allowed is a whole number"
                " of bytes from 1024 to 16777216, without a unit"
            )
        ],
    ),
    (
        "[signaling]\nsend_queue_bytes = 1024",
        [
            (
                "line 2, signaling.send_queue_bytes: send_queue_bytes (1024) is smaller than"
                " max_message_bytes (65536): the largest message would not fit into the queue"
            )
        ],
    ),
    (
        "[signaling]\nallowed_origins = https://example.org, example.com/",
        [f"line 2, signaling.allowed_origins: found 'example.com/'; {ORIGIN}"],
    ),
    (
        "[signaling]\nmax_connections = -1",
        ["line 2, signaling.max_connections: found '-1'; allowed is a whole number, 0 or more"],
    ),
    (
        "[signaling]\nmessages_per_s = nan",
        ["line 2, signaling.messages_per_s: found 'nan'; allowed is a number, 0 or more"],
    ),
    (
        "[signaling]\non_duplicate_id = probed",
        [
            (
                "line 2, signaling.on_duplicate_id: found 'probed'; allowed is one of probe, reject"
                " | Did you mean probe?"
            )
        ],
    ),
    (
        "[turn]\npublic_ip = 203.0.113.5/24",
        [f"line 2, turn.public_ip: found '203.0.113.5/24'; {PUBLIC}"],
    ),
    (
        "[turn]\npublic_ip = 203.0.113.5/fd00::5",
        [f"line 2, turn.public_ip: found '203.0.113.5/fd00::5'; {PUBLIC}, both of one family"],
    ),
    (
        "[turn]\npublic_ip = 0.0.0.0",
        [(f"line 2, turn.public_ip: found '0.0.0.0'; {PUBLIC}; no machine can have this address")],
    ),
    (
        "[turn]\npublic_ip = 203.0.113.5, 203.0.113.6",
        [f"line 2, turn.public_ip: found '203.0.113.5, 203.0.113.6'; {FAMILIES}"],
    ),
    (
        "[turn]\nuris = turn://turn.example.org",
        [f"line 2, turn.uris: found 'turn://turn.example.org'; {ICE}"],
    ),
    (
        "[turn]\nuris = stun:a.example, turn:a.example?transport=sctp",
        [f"line 2, turn.uris: found 'turn:a.example?transport=sctp'; {ICE}"],
    ),
    (
        "[turn]\nrelay_ports = 65535-49152",
        [f"line 2, turn.relay_ports: found '65535-49152'; {RANGE}"],
    ),
    (
        "[turn]\ndeny_peers = 10.0.0.0/33",
        [f"line 2, turn.deny_peers: found '10.0.0.0/33'; {NETWORK}"],
    ),
    (
        "[turn]\nsecret = 'hunter2",
        [
            (
                f"line 2, turn.secret: {UNREADABLE}"
                " | A value that holds a comma, a # or a quote belongs in quotes of the other kind."
            )
        ],
    ),
    (
        "[turn]\nsecret = '', hunter2",
        [
            (
                "line 2, turn.secret: found a value that is not shown here;"
                " allowed is a list without empty entries"
            )
        ],
    ),
    (
        "[turn]\nport_tcp = 8086",
        [
            (
                "line 2, turn.port_tcp: TCP port 8086 is that of general.port on the same address"
                " | Change one of the two."
            )
        ],
    ),
    (
        "[turn]\nport_tls = 5349",
        [f"line 2, turn.port_tls: general.cert and general.key are needed for it | {CERT_HINT}"],
    ),
    (
        "[turn]\nusers_file = gone",
        ["line 2, turn.users_file: there is no file gone, nor gone in the working directory"],
    ),
    (
        "[turn]\ncredential_ttl_s = 1d",
        [
            (
                "line 2, turn.credential_ttl_s: found '1d'; allowed is a whole number"
                " from 60 to 31536000"
            )
        ],
    ),
    (
        "[plugins]\nenabled = auth-token",
        [
            (
                "line 2, plugins.enabled: found 'auth-token'; allowed is plugin names,"
                " separated by commas"
            )
        ],
    ),
    (
        "[plugins]\npath = gone",
        ["line 2, plugins.path: there is no folder gone, nor gone in the working directory"],
    ),
    (
        "[general]\nport_tcp = 1",
        ["line 2, general.port_tcp: this key is not known | It belongs in [turn]."],
    ),
    (
        "[trun]\nport = 1",
        [f"line 1, [trun]: {NO_SECTION} | Did you mean [turn]?"],
    ),
    (
        "[turn\nport = x\n[[inner]]\nport = y",
        [
            (
                "line 1: this is no section heading: [name], or [[name]] inside a section"
                " | The keys below it are not checked yet."
            )
        ],
    ),
    (
        "[turn]\nsecret hunter2",
        [
            (
                "line 2: this line is neither a [section] nor a `key = value`"
                " | A comment begins with # or ;."
            )
        ],
    ),
    (
        "[[turn]]",
        ["line 1: there is no section around this one with 2 brackets"],
    ),
    (
        "[turn]\nport = a\n[signaling]\nping_s = b\nnonsense\n[general]\nbind = c d",
        [
            f"line 2, turn.port: found 'a'; {PORT}",
            (
                "line 4, signaling.ping_s: found 'b'; allowed is a number of seconds"
                " from 0 to 3600, without a unit"
            ),
            (
                "line 5: this line is neither a [section] nor a `key = value`"
                " | A comment begins with # or ;."
            ),
            (
                "line 7, general.bind: found 'c d'; allowed is an address of this machine;"
                " 0.0.0.0 and :: mean all of them"
            ),
        ],
    ),
]


@pytest.mark.parametrize(("text", "expected"), TABLE, ids=[text for text, _ in TABLE])
def test_problems(problems_of: ProblemsOf, text: str, expected: list[str]) -> None:
    wanted = [f"server.ini, {each}".replace(" | ", "\n    ") for each in expected]
    assert problems_of(text) == wanted


def documented(language: str) -> list[str]:
    text = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def test_the_example_in_the_documentation_is_what_is_said(tmp_path: Path) -> None:
    _, wrong = documented("ini")
    (answer,) = documented("text")
    os.chdir(tmp_path)
    Path("server.ini").write_text(wrong)
    with pytest.raises(ConfigError) as caught:
        load(Path("server.ini"), {})
    assert str(caught.value) == answer.rstrip()


def test_the_valid_example_in_the_documentation(load_config: LoadConfig, tmp_path: Path) -> None:
    (tmp_path / "certs").mkdir()
    for name in ("fullchain.pem", "privkey.pem"):
        (tmp_path / "certs" / name).touch()
    config = load_config(documented("ini")[0])
    assert config.turn.secret == ("new secret, with a comma", "old-secret")
    assert str(config.turn.public_ip[0]) == "203.0.113.5/10.0.0.5"
