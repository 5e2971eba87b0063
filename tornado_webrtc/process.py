"""The process itself: its log, its file limit, its event loop, and systemd.

Nothing in here knows what the server does.
"""

from __future__ import annotations

import asyncio
import logging
import os
import resource
import socket
import sys
from collections.abc import Callable

__all__ = ["configure_logging", "loop_factory", "notify_systemd", "raise_file_limit"]

log = logging.getLogger("tornado_webrtc.process")

LOG_FORMAT = "%(asctime)s %(levelname)-7s %(message)s"
JOURNAL_FORMAT = "%(levelname)-7s %(message)s"


def configure_logging(level: str) -> None:
    """Send the log to standard error, one readable line per event.

    Under systemd the lines have no time of their own: the journal adds it.

    Args:
        level: ``DEBUG``, ``INFO``, ``WARNING`` or ``ERROR``.
    """
    in_journal = "JOURNAL_STREAM" in os.environ
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter(JOURNAL_FORMAT if in_journal else LOG_FORMAT))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    # Below a warning, Tornado quotes malformed requests, which may hold tokens.
    general = logging.getLogger("tornado.general")
    general.setLevel(max(logging.WARNING, logging.getLevelName(level)))
    logging.getLogger("asyncio").setLevel(max(logging.INFO, logging.getLevelName(level)))


def raise_file_limit() -> int:
    """Raise the limit of open files, which is one per client, to what the system allows.

    Returns:
        The limit that holds now.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        except (OSError, ValueError) as error:
            log.warning("the limit of %d open files cannot be raised: %s", soft, error)
            return soft
    return hard


def notify_systemd(state: str) -> bool:
    """Tell systemd how the service is doing (sd_notify(3)).

    Args:
        state: ``READY=1``, ``STOPPING=1``, …

    Returns:
        Whether somebody was told; False outside of a ``Type=notify`` service.
    """
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return False
    if address.startswith("@"):
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as notify:
        try:
            notify.sendto(state.encode(), address)
        except OSError as error:
            log.warning("systemd cannot be told %r: %s", state, error)
            return False
    return True


def loop_factory(event_loop: str) -> Callable[[], asyncio.AbstractEventLoop]:
    """How to make the event loop.

    Args:
        event_loop: ``asyncio``, ``uvloop``, or ``auto``: uvloop where it is installed.

    Raises:
        ImportError: If uvloop was asked for and is not installed.
    """
    if event_loop == "asyncio":
        return asyncio.new_event_loop
    try:
        import uvloop
    except ImportError:
        if event_loop == "uvloop":
            raise
        return asyncio.new_event_loop
    return uvloop.new_event_loop
