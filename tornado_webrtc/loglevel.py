"""How much is logged."""

from __future__ import annotations

import logging

__all__ = ["set_log_level"]


def set_log_level(level: str) -> None:
    """Choose what is logged by the whole process.

    Args:
        level: ``DEBUG``, ``INFO``, ``WARNING`` or ``ERROR``.
    """
    logging.getLogger().setLevel(level)
    # Below a warning, Tornado quotes malformed requests, which may hold tokens.
    general = logging.getLogger("tornado.general")
    general.setLevel(max(logging.WARNING, logging.getLevelName(level)))
    logging.getLogger("asyncio").setLevel(max(logging.INFO, logging.getLevelName(level)))
