"""``plugins``: what there is, and whether it runs; ``plugins new``: one to begin with."""

from __future__ import annotations

import itertools
import json
import shlex
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import click

from tornado_webrtc.commands.option import (
    EXIT_CONFIG,
    conf_option,
    conf_path,
    json_option,
    reports_errors,
)
from tornado_webrtc.commands.table import table
from tornado_webrtc.inventory import Entry, Inventory, take_inventory
from tornado_webrtc.skeleton import make_skeleton

__all__ = ["plugins"]

HOOKS_WIDTH = 76


@click.group(
    short_help="List the plugins, and say why one does not run; begin a new one.",
    invoke_without_command=True,
)
@conf_option
@json_option
@click.pass_context
@reports_errors
def plugins(context: click.Context, conf: Path | None, as_json: bool) -> None:
    """List every plugin that was found: where it is from, what it does, whether it runs.

    No server is needed: plugins are looked at as a server would that starts now.

    Exit status: 0 the server would start, 78 it would not.
    """
    if context.invoked_subcommand is not None:
        return
    inventory = take_inventory(conf_path(context, conf))
    if as_json:
        click.echo(json.dumps(_as_json(inventory), indent=2))
    else:
        click.echo("\n".join(_lines(inventory)))
    sys.exit(EXIT_CONFIG if inventory.problems else 0)


@plugins.command("new", short_help="Make a folder with a plugin to begin with, and its tests.")
@click.argument("name")
@click.option(
    "--into",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="FOLDER",
    help="Where to; by default a folder of the plugin's name, here.",
)
@reports_errors
def new(name: str, into: Path | None) -> None:
    """Make a folder with a plugin that works, tests for it, and a server to try it.

    NAME is what the plugin and its section in the configuration are called: a
    Python identifier in lower case, such as call_limit.
    """
    folder = Path(name) if into is None else into
    for path in make_skeleton(name, folder):
        click.echo(path)
    click.echo(f"\nTry it: cd {shlex.quote(str(folder))} && pip install pytest && pytest")
    click.echo("  and: tornado-webrtc --conf server.ini")


def _as_json(inventory: Inventory) -> dict[str, object]:
    return {
        "plugins": [asdict(entry) for entry in inventory.entries],
        "problems": [asdict(problem) for problem in inventory.problems],
    }


def _lines(inventory: Inventory) -> Iterator[str]:
    rows = [_row(entry) for entry in inventory.entries]
    yield table(("name", "state", "version", "origin"), rows)
    yield ""
    yield table(("name", "hooks"), [row for each in inventory.entries for row in _hooks(each)])
    if reasons := [each for each in inventory.entries if each.reason]:
        yield ""
        for entry in reasons:
            yield f"{entry.name} ({entry.state}): {entry.reason}"
    if inventory.problems:
        count = len(inventory.problems)
        problems = "this problem" if count == 1 else f"these {count} problems"
        yield f"\nWith {problems} the server does not start:\n"
        yield from map(str, inventory.problems)


def _row(entry: Entry) -> tuple[str, ...]:
    state = f"{entry.state}, required" if entry.required else entry.state
    return entry.name, state, entry.version or "-", entry.origin


def _hooks(entry: Entry) -> Iterator[tuple[str, str]]:
    """The hooks that a plugin implements, on as many rows as that takes."""
    lines = textwrap.wrap(", ".join(entry.hooks) or "-", HOOKS_WIDTH)
    return zip(itertools.chain([entry.name], itertools.repeat("")), lines, strict=False)
