"""deploy/certificate.sh and its hook: a certificate comes, is kept, and is renewed.

certbot is a stand-in that does what matters here: it puts a challenge into the webroot, asks
the server for it on the plain port, and makes a certificate only if it gets what it put there.
"""

import os
import shlex
import shutil
import signal
import ssl
import sys
from pathlib import Path

import pytest

from tests.deploy.conftest import Good
from tests.deploy.machine import DEPLOY, ON_LOOPBACK, Machine
from tests.deploy.release import ROOT

pytestmark = [pytest.mark.timeout(300), pytest.mark.xdist_group("deploy-certificate")]

SCRIPT = DEPLOY / "certificate.sh"

CERTBOT = """\
import pathlib, subprocess, sys, urllib.request
sys.path.insert(0, {root!r})
from tornado_webrtc.certificate import write_certificate
machine = pathlib.Path({machine!r})
with (machine / "certbot").open("a") as calls:
    calls.write(" ".join(sys.argv[1:]) + "\\n")
options = dict(zip(sys.argv[2:], sys.argv[3:]))
name = options["--cert-name"]
assert options.get("--domain", name) == name
config = pathlib.Path(options["--config-dir"])
lineage = config / "live" / name
if sys.argv[1] == "renew":
    if (machine / "due").exists():
        write_certificate(lineage / "new.pem", lineage / "newkey.pem", [name])
        (lineage / "newkey.pem").replace(lineage / "privkey.pem")
        (lineage / "new.pem").replace(lineage / "fullchain.pem")
    sys.exit((machine / "refused").exists())
token = "a-token-of-the-certificate-authority"
challenge = pathlib.Path(options["--webroot-path"], ".well-known/acme-challenge", token)
challenge.write_text("answer")
url = f"http://{{name}}:{port}/.well-known/acme-challenge/{{token}}"
assert urllib.request.urlopen(url).read() == b"answer"
challenge.unlink()
lineage.mkdir(parents=True)
write_certificate(lineage / "fullchain.pem", lineage / "privkey.pem", [name])
"""


@pytest.fixture
def served(fresh: Machine, good: Good) -> Machine:
    """A server with a development certificate, and a certbot that would get another."""
    code = CERTBOT.format(root=str(ROOT), machine=str(fresh.path), port=fresh.turn_udp)
    (fresh.path / "certbot.py").write_text(code)
    certbot = fresh.program(
        "certbot",
        f'#!/bin/sh\nexec {shlex.quote(sys.executable)} {fresh.path}/certbot.py "$@"\n',
    )
    fresh.configure(CERTBOT=certbot)
    fresh.deploy("--local", good("1.0.0"), "--no-certificate", environ=ON_LOOPBACK)
    return fresh


def shown(machine: Machine) -> str:
    """The certificate that clients get."""
    return ssl.get_server_certificate(("127.0.0.1", machine.port))


def lineage(machine: Machine) -> Path:
    return machine.path / "letsencrypt" / "live" / "localhost"


def asked(machine: Machine) -> list[str]:
    path = machine.path / "certbot"
    return path.read_text().splitlines() if path.exists() else []


def test_certificate_comes_and_is_kept(served: Machine) -> None:
    before, pid = shown(served), served.pid()
    said = served.deploy(script=SCRIPT)
    assert "the certificate of localhost is in use" in said
    assert shown(served) != before
    assert shown(served) == (lineage(served) / "fullchain.pem").read_text()
    assert served.pid() == pid, "without a restart"
    (call,) = asked(served)
    assert call.split()[0] == "certonly"
    assert "--register-unsafely-without-email" in call
    assert served.deploy(script=SCRIPT) == ""
    assert len(asked(served)) == 1
    tls = served.conf.parent / "tls"
    assert {path.name for path in tls.iterdir()} == {"fullchain.pem", "privkey.pem"}
    assert {path.stat().st_mode & 0o777 for path in tls.iterdir()} == {0o640}
    acme = served.conf.parent / "acme"
    assert not [path for path in acme.rglob("*") if path.is_file()], "no challenge is left"


def test_deployment_asks_for_it(served: Machine, good: Good) -> None:
    served.configure(EMAIL="ops@example.org")
    served.deploy("--local", good("1.1.0"), environ=ON_LOOPBACK)
    (call,) = asked(served)
    assert "--email ops@example.org" in call
    assert shown(served) == (lineage(served) / "fullchain.pem").read_text()


def test_hook_puts_a_renewed_one_into_service(served: Machine) -> None:
    served.deploy(script=SCRIPT)
    hook = hook_of(served)
    before = shown(served)
    write = "from tornado_webrtc.certificate import write_certificate as w; import sys, pathlib"
    paths = [lineage(served) / name for name in ("fullchain.pem", "privkey.pem")]
    for path in paths:
        path.unlink()
    code = f"{write}; w(*map(pathlib.Path, sys.argv[1:]), ['localhost'])"
    served.run(served.root / "current" / "bin" / "python", "-c", code, *paths)
    # certbot's timer knows nothing of the settings, and has no PATH to speak of.
    environ = {"RENEWED_LINEAGE": str(lineage(served)), "PATH": "/usr/bin:/bin"}
    environ["DEPLOY_SETTINGS"] = "/nowhere"
    served.deploy(script=hook, environ=environ)
    assert shown(served) == paths[0].read_text() != before

    another = {**environ, "RENEWED_LINEAGE": str(lineage(served).with_name("mail.example.org"))}
    assert served.deploy(script=hook, environ=another) == ""

    paths[0].write_text("nonsense")
    said = served.deploy(script=hook, environ=environ, status=1)
    assert "fullchain.pem" in said, "certbot reports that"
    assert shown(served) != "nonsense"


def hook_of(machine: Machine) -> Path:
    return machine.path / "letsencrypt" / "renewal-hooks" / "deploy" / "tornado-webrtc"


def test_power_cut_between_chain_and_key(served: Machine) -> None:
    """The chain comes last: while it is the old one, the next run knows that there is a new one."""
    served.can_lose_power("mv")
    cut = {"CUT_BEFORE": "mv */.fullchain.pem *"}
    served.deploy(script=SCRIPT, status=-signal.SIGKILL, environ=cut)
    tls = served.conf.parent / "tls"
    assert (tls / "privkey.pem").read_text() == (lineage(served) / "privkey.pem").read_text()
    assert "the certificate of localhost is in use" in served.deploy(script=SCRIPT)
    assert shown(served) == (lineage(served) / "fullchain.pem").read_text()
    assert {path.name for path in tls.iterdir()} == {"fullchain.pem", "privkey.pem"}


def test_certificate_of_which_only_the_key_is_there(served: Machine) -> None:
    """Nothing is replaced before all of the new one is there, and on the disk."""
    served.can_lose_power("mv", "sync")
    noted = served.path / "noted"
    served.deploy(script=SCRIPT, environ={"NOTED": str(noted)})
    tls = served.conf.parent / "tls"
    lines = [line.replace(str(tls), "TLS") for line in noted.read_text().splitlines()]
    assert [line for line in lines if "TLS" in line] == [
        "sync -f TLS",
        "mv TLS/.privkey.pem TLS/privkey.pem",
        "mv TLS/.fullchain.pem TLS/fullchain.pem",
        "sync -f TLS",
    ]
    before = (tls / "privkey.pem").read_bytes()
    (lineage(served) / "privkey.pem").write_text("a new one")
    (lineage(served) / "fullchain.pem").unlink()
    served.deploy(
        script=hook_of(served), environ={"RENEWED_LINEAGE": str(lineage(served))}, status=1
    )
    assert (tls / "privkey.pem").read_bytes() == before


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_service_may_read_its_key(served: Machine) -> None:
    """Before it has its name: the server looks whenever there is a new one."""
    served.deploy(script=SCRIPT)
    served.note("chown")
    environ = {"RENEWED_LINEAGE": str(lineage(served)), "DEPLOY_RUN_AS": "nobody"}
    served.deploy(script=hook_of(served), environ=environ)
    tls = served.conf.parent / "tls"
    given = [call for call in served.calls() if call.startswith("chown")]
    assert given == [f"chown root:nobody {tls}/.{name}.pem" for name in ("privkey", "fullchain")]


CURL = """#!/bin/bash
# Notes which rights a challenge has, and how long an answer may take.
find {acme} -type f -printf '%m ' >> {machine}/challenges
[[ $* == *' --max-time 5 '* ]] || exit 1
exec {real} "$@"
"""


def test_challenge_can_be_read_by_the_service(served: Machine) -> None:
    """Whatever the mask of who calls it, and the habits of root's curl."""
    acme = served.conf.parent / "acme"
    text = CURL.format(acme=acme, machine=served.path, real=shutil.which("curl"))
    served.program("curl", text)
    (served.path / ".curlrc").write_text('interface = "nowhere0"\n')
    wrapper = served.program("masked", f'#!/bin/bash\numask 077\n{SCRIPT} "$@"\n')
    said = served.deploy(script=wrapper, environ={"HOME": str(served.path)})
    assert "the certificate of localhost is in use" in said
    assert (served.path / "challenges").read_text() == "644 "
    assert (acme / ".well-known").stat().st_mode & 0o777 == 0o755


def test_timer_renews_it_when_it_is_time(served: Machine) -> None:
    served.deploy("--renew", script=SCRIPT)
    assert [call.split()[0] for call in asked(served)] == ["certonly"], "there was none yet"
    before, pid = shown(served), served.pid()
    assert served.deploy("--renew", script=SCRIPT) == ""
    options = f"--config-dir {served.path}/letsencrypt --cert-name localhost"
    assert asked(served)[1:] == [f"renew --quiet --no-random-sleep-on-renew {options}"]
    assert shown(served) == before
    (served.path / "due").touch()
    said = served.deploy("--renew", script=SCRIPT)
    assert "the certificate of localhost is in use" in said
    assert shown(served) == (lineage(served) / "fullchain.pem").read_text() != before
    assert served.pid() == pid, "without a restart"
    (served.path / "refused").touch()
    said = served.deploy("--renew", script=SCRIPT, status=1)
    assert "error: the certificate for localhost was not renewed" in said


SAVED = """\
# renew_before_expiry = 30 days
version = 2.1.0
[renewalparams]
account = 0123
authenticator = {}
"""


@pytest.mark.parametrize(
    ("saved", "changed"),
    [
        ("standalone", True),
        ("nginx", True),
        ("apache", True),
        ("webroot\nwebroot_path = /var/www/html,", True),
        ("webroot\n[[webroot_map]]\nlocalhost = {acme}2", True),
        ("webroot\nwebroot_path = {acme},\n[[webroot_map]]\nlocalhost = {acme}", False),
        ("dns-route53", False),
        ("manual", False),
    ],
)
def test_certificate_that_was_asked_for_otherwise(
    configured: Machine, saved: str, changed: bool
) -> None:
    """What was there before has no port 80 any more; what goes another way goes on."""
    folder, acme = configured.path / "letsencrypt", configured.conf.parent / "acme"
    for name in ("live/localhost", "renewal"):
        (folder / name).mkdir(parents=True)
    (folder / "renewal" / "localhost.conf").write_text(SAVED.format(saved.format(acme=acme)))
    for path in (lineage(configured), configured.conf.parent / "tls"):
        path.mkdir(exist_ok=True)
        (path / "fullchain.pem").write_text("the same")
    assert configured.deploy("--renew", script=SCRIPT) == ""
    (call,) = asked(configured)
    way = f"--authenticator webroot --webroot-path {acme} "
    assert (way + f'--webroot-map {{"localhost": "{acme}"}}' in call) == changed
    assert ("webroot" in call) == changed
    assert call.endswith("--cert-name localhost")


def test_name_in_capital_letters(served: Machine) -> None:
    """certbot's folder has the name that it was told, whatever else it would choose."""
    served.configure(DOMAIN="LocalHost")
    assert "the certificate of localhost is in use" in served.deploy(script=SCRIPT)
    (call,) = asked(served)
    assert call.endswith("--cert-name localhost --domain localhost")
    assert shown(served) == (lineage(served) / "fullchain.pem").read_text()


def test_proxies_of_the_machine_are_not_asked(served: Machine) -> None:
    environ = {"http_proxy": "http://127.0.0.1:1", "no_proxy": ""}
    said = served.deploy(script=SCRIPT, environ=environ, status=1)
    assert "the server does not show" not in said
    assert len(asked(served)) == 1, "certbot itself is told nothing"


def test_authority_gives_none(served: Machine, good: Good) -> None:
    before = shown(served)
    served.program("certbot", "#!/bin/sh\necho 'too many requests' >&2\nexit 1\n")
    said = served.deploy("--local", good("1.1.0"), environ=ON_LOOPBACK)
    assert "too many requests" in said
    assert "Let's Encrypt gave no certificate for localhost" in said
    assert "warning: there is no new certificate; the one in use stays" in said
    assert shown(served) == before
    assert served.verdicts()["1.1.0"] == "good*"


# --- without a server ---------------------------------------------------------------------


@pytest.fixture
def configured(machine: Machine) -> Machine:
    """A machine with a configuration for Let's Encrypt, where nothing runs."""
    machine.program("certbot", f'#!/bin/sh\necho "$@" >> {machine.path}/certbot\n')
    machine.configure(DOMAIN="localhost", CERTBOT="certbot", HTTP_PORT=machine.turn_udp)
    machine.conf.write_text(
        "[general]\ncert = tls/fullchain.pem # ours\nkey=tls/privkey.pem\n"
        "challenge_dir=acme\n[turn]\ncert = another\n"
    )
    return machine


def test_server_does_not_answer_challenges(configured: Machine) -> None:
    said = configured.deploy(script=SCRIPT, status=1)
    folder, port = configured.conf.parent, configured.turn_udp
    assert f"the server does not show {folder}/acme on port {port}" in said
    assert asked(configured) == []


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("tls/fullchain.pem # ours", '"tls/fullchain.pem"'),
        ("tls/fullchain.pem # ours", "'tls/fullchain.pem' # ours"),
        ("tls/fullchain.pem # ours", "tls/fullchain.pem\t# ours"),
        ("[general]", "[general]  # this is ours"),
        ("[general]", "[ general ]"),
        ("[general]", "  [general]"),
        ("[general]\ncert", "[turn]\n[[general]]\ncert = x\n[general]\n\tcert"),
        ("\n", "\r\n"),
    ],
)
def test_configuration_is_read_as_the_server_reads_it(
    configured: Machine, before: str, after: str
) -> None:
    text = configured.conf.read_text()
    assert before in text
    configured.conf.write_text(text.replace(before, after), newline="")
    said = configured.deploy(script=SCRIPT, status=1)
    folder = configured.conf.parent
    assert f"the server does not show {folder}/acme on port" in said, "it is not left alone"


@pytest.mark.parametrize("name", ["/etc/ssl/own.pem", "own.pem", ""])
def test_own_certificate_is_left_alone(configured: Machine, name: str) -> None:
    text = configured.conf.read_text().replace("tls/fullchain.pem # ours", name)
    configured.conf.write_text(text)
    path = configured.conf.parent / name if name else "that of a proxy"
    said = configured.deploy(script=SCRIPT)
    assert said == f"the certificate is {path}: it is left alone\n"
    assert asked(configured) == []


def test_without_a_name_nothing_is_done(configured: Machine) -> None:
    configured.configure(DOMAIN="")
    assert configured.deploy(script=SCRIPT) == ""
    assert asked(configured) == []


def test_no_folder_for_challenges(configured: Machine) -> None:
    text = configured.conf.read_text().replace("challenge_dir=acme", "")
    configured.conf.write_text(text)
    assert "has no challenge_dir" in configured.deploy(script=SCRIPT, status=1)
