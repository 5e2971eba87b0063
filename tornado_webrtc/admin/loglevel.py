"""How much is logged, changed while the server runs."""

from __future__ import annotations

import difflib
import logging

from tornado_webrtc.loglevel import LOWEST, set_log_level

__all__ = ["INHERITED", "LEVELS", "LogLevelError", "set_level"]

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
INHERITED = "INHERITED"


class LogLevelError(ValueError):
    """A level cannot be set; the message says why."""


def set_level(level: str, logger: str = "") -> str:
    """Set the level of a logger.

    Args:
        level: One of `LEVELS`, or `INHERITED` for that of the logger above.
        logger: Its name; empty for the one above all.

    Returns:
        The level that it had until now.

    Raises:
        LogLevelError: There is no such logger, or it must not have this level.
    """
    if logger and logger not in logging.root.manager.loggerDict:
        near = difflib.get_close_matches(logger, logging.root.manager.loggerDict, 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise LogLevelError(f"there is no logger {logger!r}{hint}")
    found = logging.getLogger(logger)
    before = INHERITED if found.level == logging.NOTSET else logging.getLevelName(found.level)
    if not logger:
        if level == INHERITED:
            raise LogLevelError("only the level of a single logger can be inherited")
        set_log_level(level)
        return str(before)
    number = logging.NOTSET if level == INHERITED else logging.getLevelNamesMapping()[level]
    lowest = LOWEST.get(logger)
    if lowest is not None and number < lowest:
        name = logging.getLevelName(lowest)
        raise LogLevelError(f"{logger} must not log below {name}: it could quote secrets")
    found.setLevel(number)
    return str(before)
