"""How much is logged."""

from __future__ import annotations

import logging

__all__ = ["LOWEST", "set_log_level"]

LOWEST = {"tornado.general": logging.WARNING, "asyncio": logging.INFO}
"""The lowest levels of some loggers: below a warning, Tornado quotes malformed requests, which may
hold tokens."""


def set_log_level(level: str) -> None:
    """Choose what is logged by the whole process.

    Args:
        level: ``DEBUG``, ``INFO``, ``WARNING`` or ``ERROR``.
    """
    logging.getLogger().setLevel(level)
    number = logging.getLevelNamesMapping()[level]
    for name, lowest in LOWEST.items():
        logging.getLogger(name).setLevel(max(lowest, number))
