"""How much is logged: never what could quote secrets."""

import logging

import pytest

from tornado_webrtc.loglevel import set_log_level


@pytest.mark.parametrize(
    ("level", "root", "general", "loop"),
    [
        ("DEBUG", logging.DEBUG, logging.WARNING, logging.INFO),
        ("INFO", logging.INFO, logging.WARNING, logging.INFO),
        ("WARNING", logging.WARNING, logging.WARNING, logging.WARNING),
        ("ERROR", logging.ERROR, logging.ERROR, logging.ERROR),
    ],
)
def test_levels(level: str, root: int, general: int, loop: int) -> None:
    set_log_level(level)
    levels = [logging.getLogger(name).level for name in ("", "tornado.general", "asyncio")]
    assert levels == [root, general, loop]
