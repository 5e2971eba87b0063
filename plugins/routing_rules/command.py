"""The command ``tornado-webrtc routing-rules test``."""

from __future__ import annotations

import sys
from collections.abc import Callable

import click

from .rule import Party
from .rule_list import BadRulesError, RuleList

__all__ = ["make_command"]


def make_command(read: Callable[[], RuleList]) -> click.Group:
    """Make the command.

    Args:
        read: Reads the rules of the configuration.
    """

    @click.group(name="routing-rules")
    def group() -> None:
        """Try the rules of who may call whom."""

    @group.command(short_help="Say which rule decides about a call.")
    @click.argument("caller")
    @click.argument("callee")
    @click.option("--user", help="Who the caller is, if authenticated.")
    @click.option("--callee-user", metavar="USER", help="Who the callee is, if authenticated.")
    @click.option("--room", default="", help="The room that both are in; the lobby if not given.")
    @click.option("--ip", default="", metavar="ADDRESS", help="The caller's address.")
    @click.option("--callee-ip", default="", metavar="ADDRESS", help="The callee's address.")
    def test(
        caller: str,
        callee: str,
        user: str | None,
        callee_user: str | None,
        room: str,
        ip: str,
        callee_ip: str,
    ) -> None:
        """Say which rule decides about a call from the peer CALLER to the peer CALLEE.

        The rules are those of the configuration, which a running server may not have read
        yet. Exit status: 0 the call is allowed, 1 it is denied.
        """
        try:
            rules = read()
        except BadRulesError as error:
            raise click.ClickException(f"routing_rules.{error.key}: {error}") from error
        decision = rules.decide(
            Party(caller, room, user, ip), Party(callee, room, callee_user, callee_ip)
        )
        click.echo(decision)
        sys.exit(0 if decision.allowed else 1)

    return group
