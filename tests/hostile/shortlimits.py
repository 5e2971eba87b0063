"""Time limits that are short enough for a test: what would take minutes takes seconds."""

_SOURCE = '''
"""Shortens the time limits; they work as ever."""
from tornado_webrtc import hookimpl
from tornado_webrtc.plugins.turn import stream
from tornado_webrtc.web import httpserver, stall

stall.STALL_S, stall.CHECK_S = LIMIT_S, 1.0
httpserver.IDLE_TIMEOUT_S = httpserver.BODY_TIMEOUT_S = stream.IDLE_S = LIMIT_S

@hookimpl
def start(server):
    server.listener._handshake_timeout_s = server.listener._first_byte_timeout_s = LIMIT_S
'''


def short_limits(seconds: float) -> str:
    """A plugin's source: this is how long the server waits for whoever is slow."""
    return _SOURCE.replace("LIMIT_S", str(seconds))
