"""Real servers for the tests of this folder: `server = await serve(signaling={…}, turn={…})`."""

from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

import pytest

from tornado_webrtc.certificate import write_certificate
from tornado_webrtc.clock import Clock
from tornado_webrtc.config import Admin, Config, General, Plugins, Signaling, Turn
from tornado_webrtc.pluginmanager import FoundPlugin
from tornado_webrtc.server import Server

Section = Mapping[str, Any]


class Serve(Protocol):
    """Starts a server on a free port of 127.0.0.1; the end of the test stops it.

    Args:
        plugins: Objects with hook methods, named after their class; or `FoundPlugin`s.
        required: Names of plugins without which the server does not start.
        tls: Whether it has a certificate (for localhost and 127.0.0.1).
        clock: Another clock than the real one.
        start: Whether it is started already.
        sections: What differs from the defaults, as ``signaling={…}``. There is no socket
            for operators unless `admin` asks for one.
    """

    async def __call__(
        self,
        *,
        plugins: Sequence[object] = (),
        required: Sequence[str] = (),
        tls: bool = False,
        clock: Clock | None = None,
        start: bool = True,
        **sections: Section | None,
    ) -> Server: ...


def find(plugin: object) -> FoundPlugin:
    """Make of an object what discovery would have found: a module whose `Plugin` is that object."""
    if isinstance(plugin, FoundPlugin):
        return plugin
    kind = type(plugin)
    name = kind.__name__.lower()
    module = ModuleType(f"tornado_webrtc.plugins.{name}")
    constructor = {"__new__": lambda _class, _context: plugin}
    vars(module)["Plugin"] = type("Plugin", (kind,), constructor)
    return FoundPlugin(name, module, "a test", "")


@pytest.fixture
async def serve(tmp_path: Path) -> AsyncIterator[Serve]:
    """Return a function that starts servers; see `Serve`."""
    servers: list[Server] = []

    async def start_server(
        *,
        plugins: Sequence[object] = (),
        required: Sequence[str] = (),
        tls: bool = False,
        clock: Clock | None = None,
        start: bool = True,
        **sections: Section | None,
    ) -> Server:
        basis: dict[str, Any] = {
            "bind": ("127.0.0.1",),
            "port": 0,
            "state_dir": tmp_path / "state",
        }
        if tls:
            basis["cert"], basis["key"] = tmp_path / "cert.pem", tmp_path / "key.pem"
            if not basis["cert"].exists():
                write_certificate(basis["cert"], basis["key"], ["localhost", "127.0.0.1"])
        own = {name: dict(values or {}) for name, values in sections.items()}
        config = Config(
            general=General(**(basis | own.pop("general", {}))),
            signaling=Signaling(**own.pop("signaling", {})),
            turn=Turn(**own.pop("turn", {})),
            plugins=Plugins(required=tuple(required)),
            admin=Admin(**({"socket": None} | own.pop("admin", {}))),
        )
        assert not own, "there are no such sections"
        server = Server(config, [find(each) for each in plugins], clock=clock)
        servers.append(server)
        if start:
            await server.start()
        return server

    yield start_server
    for server in reversed(servers):
        await server.stop()
