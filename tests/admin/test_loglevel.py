"""How much is logged can be changed, but never so far that the log holds secrets."""

import logging

import pytest

from tornado_webrtc.admin.loglevel import INHERITED, LEVELS, LogLevelError, set_level

NAME = "tornado_webrtc.tried"


@pytest.fixture(autouse=True)
def logger() -> logging.Logger:
    return logging.getLogger(NAME)


@pytest.mark.parametrize("level", LEVELS)
def test_level_of_one_logger(logger: logging.Logger, level: str) -> None:
    assert set_level(level, NAME) == INHERITED
    assert logging.getLevelName(logger.level) == level
    assert set_level(INHERITED, NAME) == level
    assert logger.level == logging.NOTSET


def test_level_of_all() -> None:
    root, general = logging.getLogger(), logging.getLogger("tornado.general")
    before = root.level
    try:
        root.setLevel(logging.INFO)
        assert set_level("DEBUG") == "INFO"
        assert (root.level, general.level) == (logging.DEBUG, logging.WARNING)
        assert set_level("ERROR") == "DEBUG"
        assert (root.level, general.level) == (logging.ERROR, logging.ERROR)
    finally:
        root.setLevel(before)


@pytest.mark.parametrize(
    ("level", "name", "complaint"),
    [
        ("DEBUG", "tornado_webrtc.tired", "no logger 'tornado_webrtc.tired'; did you mean .*tried"),
        ("DEBUG", "zzz", "no logger 'zzz'$"),
        ("INFO", "tornado.general", "must not log below WARNING: it could quote secrets"),
        (INHERITED, "tornado.general", "must not log below WARNING"),
        ("DEBUG", "asyncio", "must not log below INFO"),
        (INHERITED, "", "only the level of a single logger"),
    ],
)
def test_what_cannot_be(level: str, name: str, complaint: str) -> None:
    before = logging.getLogger("tornado.general").level
    logging.getLogger("asyncio")
    with pytest.raises(LogLevelError, match=complaint):
        set_level(level, name)
    assert logging.getLogger("tornado.general").level == before
