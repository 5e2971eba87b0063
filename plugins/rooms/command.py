"""The command ``tornado-webrtc rooms hash``."""

from __future__ import annotations

import sys

import click

from .password import HashedPassword

__all__ = ["rooms"]


@click.group()
def rooms() -> None:
    """Make what a file of rooms holds."""


@rooms.command(name="hash", short_help="Hash a password for the file of rooms.")
def hash_password() -> None:
    """Ask for a password, and print its hash for the file of rooms.

    If the standard input is no terminal, the password is its first line.
    """
    if sys.stdin.isatty():
        password: str = click.prompt("Password", hide_input=True, confirmation_prompt=True)
    else:
        password = sys.stdin.readline().rstrip("\r\n")
    if not password:
        raise click.ClickException("the password is empty")
    click.echo(f"hash={HashedPassword.make(password)}")
