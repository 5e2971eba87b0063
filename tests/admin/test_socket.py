"""The Unix socket: private at once, taken from the dead only, gone afterwards."""

import fcntl
import os
import socket
import stat
import threading
from pathlib import Path

import pytest

from tornado_webrtc.admin import socket as module
from tornado_webrtc.admin.socket import AdminSocket
from tornado_webrtc.errors import ListenError

SOMEBODY_ELSE = 65533


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def connect(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))


def leave_behind(path: Path) -> None:
    """What a server that was killed leaves."""
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
        dead.listen()


def test_only_its_user_may_use_it(tmp_path: Path) -> None:
    path = tmp_path / "state" / "admin.sock"
    before = os.umask(0)
    try:
        made = AdminSocket(path)
        assert os.umask(0) == 0, "the umask is put back"
    finally:
        os.umask(before)
    assert (mode(path), mode(path.parent)) == (0o600, 0o700)
    connect(path)
    made.close()
    assert not path.exists()


def test_it_is_private_from_its_first_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "admin.sock"
    seen: list[int] = []

    class Watched(socket.socket):
        def bind(self, address: object) -> None:
            super().bind(str(address))
            seen.append(mode(path))

    monkeypatch.setattr(socket, "socket", Watched)
    AdminSocket(path).close()
    assert seen == [0o600]


def test_others_may_not_use_it(unprivileged: Path) -> None:
    if os.geteuid() == os.getuid():
        pytest.skip("needs root, who can be somebody else")
    unprivileged.chmod(0o755)
    made = AdminSocket(unprivileged / "admin.sock")
    server = os.geteuid()
    os.seteuid(0)
    os.seteuid(SOMEBODY_ELSE)
    try:
        with pytest.raises(PermissionError):
            connect(made.path)
    finally:
        os.seteuid(0)
        os.seteuid(server)
        made.close()


def test_socket_of_a_dead_server_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "admin.sock"
    leave_behind(path)
    with pytest.raises(ConnectionRefusedError):
        connect(path)
    made = AdminSocket(path)
    connect(path)
    made.close()


def test_a_server_that_lives_keeps_its_socket(tmp_path: Path) -> None:
    path = tmp_path / "admin.sock"
    first = AdminSocket(path)
    with pytest.raises(ListenError, match=r"another server listens on .*admin\.sock; stop it, or"):
        AdminSocket(path)
    connect(path)
    first.close()


def test_a_server_too_busy_to_answer_lives(tmp_path: Path) -> None:
    path = tmp_path / "admin.sock"
    with socket.socket(socket.AF_UNIX) as busy, socket.socket(socket.AF_UNIX) as waiting:
        busy.bind(str(path))
        busy.listen(0)
        waiting.connect(str(path))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(module, "CONNECT_TIMEOUT_S", 0.05)
            with pytest.raises(ListenError, match="another server listens"):
                AdminSocket(path)
        assert path.exists()


def test_a_file_that_is_no_socket_stays(tmp_path: Path) -> None:
    path = tmp_path / "admin.sock"
    path.write_text("precious")
    with pytest.raises(ListenError, match="is no socket; move it away"):
        AdminSocket(path)
    assert path.read_text() == "precious"


def test_a_link_to_a_socket_is_no_socket(tmp_path: Path) -> None:
    path = tmp_path / "admin.sock"
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ListenError, match="is no socket"):
        AdminSocket(path)


def test_two_that_start_at_once_get_one_socket(tmp_path: Path) -> None:
    path = tmp_path / "admin.sock"
    leave_behind(path)
    made: list[AdminSocket] = []
    refused: list[ListenError] = []

    def start() -> None:
        try:
            made.append(AdminSocket(path))
        except ListenError as error:
            refused.append(error)

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(made), len(refused)) == (1, 7)
    connect(path)
    made[0].close()


def test_another_server_is_just_starting(tmp_path: Path) -> None:
    path = tmp_path / "admin.sock"
    AdminSocket(path).close()
    lock = tmp_path / "admin.sock.lock"
    assert mode(lock) == 0o600
    with lock.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(ListenError, match="another server is just starting there"):
            AdminSocket(path)


def test_who_may_only_read_the_folder_cannot_lock_servers_out(tmp_path: Path) -> None:
    descriptor = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        AdminSocket(tmp_path / "admin.sock").close()
    finally:
        os.close(descriptor)


def test_no_link_is_followed_to_a_lock(tmp_path: Path) -> None:
    (tmp_path / "admin.sock.lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ListenError, match="Too many levels of symbolic links"):
        AdminSocket(tmp_path / "admin.sock")
    assert not (tmp_path / "elsewhere").exists()


def test_what_another_server_made_meanwhile_is_not_removed(tmp_path: Path) -> None:
    path = tmp_path / "admin.sock"
    first = AdminSocket(path)
    path.rename(tmp_path / "moved")
    second = AdminSocket(path)
    first.close()
    connect(path)
    second.close()


def test_a_socket_that_somebody_removed(tmp_path: Path) -> None:
    made = AdminSocket(tmp_path / "admin.sock")
    made.path.unlink()
    made.close()


def test_a_path_that_is_too_long(tmp_path: Path) -> None:
    path = tmp_path / ("x" * 108)
    with pytest.raises(ListenError, match="the path is too long for a socket; set another"):
        AdminSocket(path)


def test_a_folder_that_may_not_be_written_to(unprivileged: Path) -> None:
    unprivileged.chmod(0o500)
    with pytest.raises(ListenError, match="this user may not write there; set another"):
        AdminSocket(unprivileged / "admin.sock")


def test_a_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ListenError, match=r"cannot listen on .*admin\.sock: "):
        AdminSocket(tmp_path / "file" / "admin.sock")
