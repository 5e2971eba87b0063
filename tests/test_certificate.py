"""Certificates: what is in one that was made, what is loaded, what is noticed."""

import asyncio
import ipaddress
import os
import socket
import ssl
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.conftest import ExpectLog, LogGuard
from tornado_webrtc import certificate as certificate_module
from tornado_webrtc.certificate import (
    CertificateStore,
    machine_names,
    make_certificate,
    write_certificate,
)
from tornado_webrtc.errors import CertificateError

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def made(*names: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate(make_certificate(names, now=NOW)[0])


def alternatives(certificate: x509.Certificate) -> x509.SubjectAlternativeName:
    return certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value


@pytest.fixture
def store(tmp_path: Path) -> CertificateStore:
    return written(tmp_path)


def written(folder: Path) -> CertificateStore:
    write_certificate(folder / "cert.pem", folder / "key.pem", ["localhost"])
    return CertificateStore(folder / "cert.pem", folder / "key.pem")


async def until_serial_is_not(store: CertificateStore, serial: int) -> None:
    async with asyncio.timeout(10):
        while store.certificate.serial_number == serial:  # noqa: ASYNC110 - files have no event
            await asyncio.sleep(0.005)


def test_names_and_addresses_are_told_apart() -> None:
    names = alternatives(made("demo.example", "*.demo.example.", "192.0.2.1", "[2001:db8::1]"))
    assert names.get_values_for_type(x509.DNSName) == ["demo.example", "*.demo.example"]
    assert names.get_values_for_type(x509.IPAddress) == [
        ipaddress.ip_address("192.0.2.1"),
        ipaddress.ip_address("2001:db8::1"),
    ]


def test_names_beyond_ascii_are_encoded_and_doubles_are_left_out() -> None:
    names = alternatives(made("bücher.example", "xn--bcher-kva.example", "::1", "0:0::1"))
    assert names.get_values_for_type(x509.DNSName) == ["xn--bcher-kva.example"]
    assert len(names.get_values_for_type(x509.IPAddress)) == 1


def test_it_is_a_server_certificate_and_no_authority() -> None:
    certificate = made("localhost")
    extensions = certificate.extensions
    assert not extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert list(extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [
        ExtendedKeyUsageOID.SERVER_AUTH
    ]
    key = certificate.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert isinstance(key.curve, ec.SECP256R1)


def test_validity_begins_before_slow_clocks_and_ends_before_browsers_object() -> None:
    certificate = made("localhost")
    assert certificate.not_valid_before_utc == NOW - timedelta(hours=1)
    assert certificate.not_valid_after_utc == NOW + timedelta(days=397)
    assert certificate.not_valid_after_utc - certificate.not_valid_before_utc < timedelta(days=398)


def test_long_first_name_fits_the_common_name() -> None:
    name = ".".join(["a" * 60] * 3)
    certificate = made(name)
    assert alternatives(certificate).get_values_for_type(x509.DNSName) == [name]
    (common_name,) = certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    assert common_name.value == name[:64]


@pytest.mark.parametrize(
    "name", ["", " ", "a b", "a..b", "-a", "a/b", "a:80", "fe80::1%eth0x%", "*", "a" * 64, "a.*.b"]
)
def test_names_that_are_none(name: str) -> None:
    with pytest.raises(CertificateError, match="neither a host name nor an IP address"):
        made(name)


def test_no_name_and_no_day() -> None:
    with pytest.raises(CertificateError, match="at least one host name"):
        made()
    with pytest.raises(CertificateError, match="at least 1 day, not 0"):
        make_certificate(["localhost"], days=0)


def test_machine_addresses_that_need_no_scope_are_among_the_names(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    addresses = ["10.0.0.5", "169.254.0.5", "2001:db8::5", "fe80::5"]
    found = tuple(map(ipaddress.ip_address, addresses))
    monkeypatch.setattr(certificate_module, "machine_addresses", lambda: found)
    assert machine_names()[-3:] == addresses[:-1]


def test_machine_names_fit_a_certificate() -> None:
    names = machine_names()
    assert {"localhost", "127.0.0.1"} <= set(names)
    assert len(set(names)) == len(names)
    assert not [name for name in names if "%" in name or name.startswith("fe80")]
    assert len(list(alternatives(made(*names)))) == len(names)


def test_key_is_private_and_folders_are_made(tmp_path: Path) -> None:
    cert, key = tmp_path / "certs" / "cert.pem", tmp_path / "private" / "key.pem"
    write_certificate(cert, key, ["localhost"])
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert stat.S_IMODE(cert.stat().st_mode) == 0o644
    assert list(key.parent.iterdir()) == [key]


@pytest.mark.parametrize("existing", ["cert.pem", "key.pem"])
def test_existing_files_are_left_alone(tmp_path: Path, existing: str) -> None:
    (tmp_path / existing).write_text("precious")
    with pytest.raises(CertificateError, match=f"{existing} exists already"):
        written(tmp_path)
    assert (tmp_path / existing).read_text() == "precious"
    assert list(tmp_path.iterdir()) == [tmp_path / existing]


def test_overwrite_replaces_both(store: CertificateStore) -> None:
    write_certificate(store.cert, store.key, ["localhost"], overwrite=True)
    CertificateStore(store.cert, store.key)


def test_one_file_for_both_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CertificateError, match="need two files"):
        write_certificate(tmp_path / "a", tmp_path / "a", ["localhost"])


def test_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CertificateError, match=r"cannot write .*key\.pem: "):
        write_certificate(tmp_path / "cert.pem", tmp_path / "file" / "key.pem", ["localhost"])


def test_handshake_with_a_certificate_that_was_made(store: CertificateStore) -> None:
    client = ssl.create_default_context(cafile=store.cert)
    client.set_alpn_protocols(["h2", "http/1.1"])
    left, right = socket.socketpair()
    left.setblocking(False)
    right.setblocking(False)
    server_end = store.context.wrap_socket(left, server_side=True, do_handshake_on_connect=False)
    client_end = client.wrap_socket(
        right, server_hostname="localhost", do_handshake_on_connect=False
    )
    with server_end, client_end:
        pending = [client_end, server_end]
        while pending:
            end = pending.pop(0)
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                pending.append(end)
        assert client_end.selected_alpn_protocol() == "http/1.1"
        assert client_end.version() == "TLSv1.3"


def test_old_tls_is_off(store: CertificateStore) -> None:
    assert store.context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert store.context.options & ssl.OP_NO_RENEGOTIATION


@pytest.mark.parametrize("missing", ["cert", "key"])
def test_missing_file_names_the_command(store: CertificateStore, missing: str) -> None:
    path = store.cert if missing == "cert" else store.key
    path.unlink()
    with pytest.raises(CertificateError) as caught:
        CertificateStore(store.cert, store.key)
    assert str(path) in str(caught.value)
    assert "does not exist; `tornado-webrtc cert make` makes a self-signed one" in str(caught.value)


def test_key_of_another_certificate(store: CertificateStore) -> None:
    store.key.write_bytes(make_certificate(["localhost"])[1])
    with pytest.raises(CertificateError, match=r"key\.pem does not belong to the certificate"):
        CertificateStore(store.cert, store.key)


def test_files_that_were_mixed_up(store: CertificateStore) -> None:
    with pytest.raises(CertificateError, match=r"key\.pem holds no PEM certificate"):
        CertificateStore(store.key, store.cert)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "holds no PEM private key"),
        (b"\x30\x82", "holds no PEM private key"),
        (
            b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
            "cannot be used",
        ),
    ],
)
def test_key_that_is_none(store: CertificateStore, content: bytes, message: str) -> None:
    store.key.write_bytes(content)
    with pytest.raises(CertificateError, match=message):
        CertificateStore(store.cert, store.key)


@pytest.mark.parametrize(
    "content",
    [b"", b"text", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", b"\xff"],
)
def test_certificate_that_is_none(store: CertificateStore, content: bytes) -> None:
    store.cert.write_bytes(content)
    with pytest.raises(CertificateError, match=r"cert\.pem holds no PEM certificate"):
        CertificateStore(store.cert, store.key)


def test_folder_instead_of_a_file(store: CertificateStore, tmp_path: Path) -> None:
    with pytest.raises(CertificateError, match="cannot be read: Is a directory"):
        CertificateStore(tmp_path, store.key)


def test_encrypted_key_asks_nobody(store: CertificateStore) -> None:
    key = serialization.load_pem_private_key(store.key.read_bytes(), None)
    store.key.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )
    with pytest.raises(CertificateError, match="is encrypted, and a server has nobody to ask"):
        CertificateStore(store.cert, store.key)


@pytest.mark.parametrize(
    ("shift", "warning"),
    [(-1000, r"expired on \d{4}-\d\d-\d\d and clients will refuse it"), (1000, "not valid before")],
)
def test_dates_that_do_not_fit_are_a_warning(
    tmp_path: Path, shift: int, warning: str, expect_log: ExpectLog
) -> None:
    now = datetime.now(UTC) + timedelta(days=shift)
    cert, key = make_certificate(["localhost"], now=now)
    (tmp_path / "cert.pem").write_bytes(cert)
    (tmp_path / "key.pem").write_bytes(key)
    expect_log(warning)
    CertificateStore(tmp_path / "cert.pem", tmp_path / "key.pem")


def test_reload_without_news(store: CertificateStore) -> None:
    context = store.context
    assert store.reload() is False
    os.utime(store.cert)
    assert store.reload() is False
    assert store.context is context


def test_reload_with_news(store: CertificateStore) -> None:
    context, serial = store.context, store.certificate.serial_number
    write_certificate(store.cert, store.key, ["localhost"], overwrite=True)
    assert store.context is context
    assert store.reload() is True
    assert store.context is not context
    assert store.certificate.serial_number != serial


async def test_new_files_are_noticed(store: CertificateStore) -> None:
    store.start_watching(0.01)
    serial = store.certificate.serial_number
    write_certificate(store.cert, store.key, ["localhost"], overwrite=True)
    try:
        await until_serial_is_not(store, serial)
    finally:
        store.stop_watching()


async def test_expired_one_is_noticed_with_a_warning(
    store: CertificateStore, expect_log: ExpectLog
) -> None:
    expect_log("expired on 2020-01-02 and clients will refuse it")
    serial = store.certificate.serial_number
    made = make_certificate(["localhost"], days=1, now=datetime(2020, 1, 1, tzinfo=UTC))
    for path, content in zip((store.cert, store.key), made, strict=True):
        path.write_bytes(content)
    store.start_watching(0.01)
    try:
        await until_serial_is_not(store, serial)
    finally:
        store.stop_watching()


async def test_links_that_point_elsewhere_are_noticed(tmp_path: Path) -> None:
    # The layout of Let's Encrypt clients: live/cert.pem -> ../archive/cert1.pem
    live, archive = tmp_path / "live", tmp_path / "archive"
    live.mkdir()
    for number in (1, 2):
        write_certificate(
            archive / f"cert{number}.pem", archive / f"key{number}.pem", ["localhost"]
        )
    for name in ("cert", "key"):
        (live / f"{name}.pem").symlink_to(f"../archive/{name}1.pem")
    store = CertificateStore(live / "cert.pem", live / "key.pem")
    serial = store.certificate.serial_number
    store.start_watching(0.01)
    for name in ("key", "cert"):
        (live / "new").symlink_to(f"../archive/{name}2.pem")
        (live / "new").replace(live / f"{name}.pem")
    try:
        await until_serial_is_not(store, serial)
    finally:
        store.stop_watching()


@pytest.mark.parametrize("fault", ["broken", "missing"])
async def test_broken_news_are_logged_once_and_later_ones_are_taken(
    store: CertificateStore, fault: str, expect_log: ExpectLog, log_guard: LogGuard
) -> None:
    expect_log("the certificate in use stays")
    serial = store.certificate.serial_number
    store.start_watching(0.005)
    assert store.error == ""
    if fault == "broken":
        store.cert.write_text("broken")
    else:
        store.cert.unlink()
    async with asyncio.timeout(10):
        while not log_guard.records:  # noqa: ASYNC110 - a log has no event
            await asyncio.sleep(0.005)
    await asyncio.sleep(0.1)  # many more looks
    assert len(log_guard.records) == 1
    assert store.certificate.serial_number == serial
    assert log_guard.records[0].getMessage() == f"{store.error}; the certificate in use stays"
    write_certificate(store.cert, store.key, ["localhost"], overwrite=True)
    try:
        await until_serial_is_not(store, serial)
    finally:
        store.stop_watching()
    assert store.error == ""


async def test_watching_again_replaces_the_watch_and_stopping_twice_is_fine(
    store: CertificateStore,
) -> None:
    store.start_watching(1000)
    store.start_watching(0.01)
    serial = store.certificate.serial_number
    write_certificate(store.cert, store.key, ["localhost"], overwrite=True)
    await until_serial_is_not(store, serial)
    store.stop_watching()
    store.stop_watching()


@pytest.mark.parametrize("name", ["cert", "key"])
def test_pipe_is_not_waited_for(tmp_path: Path, name: str) -> None:
    paths = {each: tmp_path / f"{each}.pem" for each in ("cert", "key")}
    write_certificate(paths["cert"], paths["key"], ["localhost"])
    paths[name].unlink()
    os.mkfifo(paths[name])
    with pytest.raises(CertificateError, match="cannot be read: it is no regular file"):
        CertificateStore(paths["cert"], paths["key"])
