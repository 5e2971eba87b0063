"""Is the process alive, and should it get traffic? For load balancers and systemd."""

from __future__ import annotations

from tornado_webrtc.web.handler import ApiHandler

__all__ = ["HealthHandler", "ReadyHandler"]


class HealthHandler(ApiHandler):
    """``/healthz``: 200 as long as the process answers at all."""

    def get(self) -> None:
        """Answer."""
        self.finish({"status": "ok"})

    head = get


class ReadyHandler(ApiHandler):
    """``/readyz``: 200 while new clients are taken, 503 otherwise."""

    def get(self) -> None:
        """Answer."""
        if self.server.accepting:
            self.finish({"status": "ready"})
        else:
            self.set_status(503)
            status = "draining" if self.server.hub.draining else "stopping"
            self.finish({"status": status})

    head = get
