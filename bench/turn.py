"""How this TURN server does beside coturn, on this machine: `make bench`."""

from __future__ import annotations

import json
import signal
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import replace
from itertools import count
from pathlib import Path
from types import FrameType

import click

if __name__ == "__main__" and not __package__:  # python bench/turn.py
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from bench.errors import BenchError
from bench.generator import Sample, compile_generator, run_generator
from bench.machine import Cores, choose_cores, describe, raise_file_limit
from bench.measurement import FOREIGN_MAX_PCT, Row, measure, summarize
from bench.report import as_json, heading, table
from bench.scenario import QUICK, SCENARIOS, THOROUGH, Effort, Scenario, chosen
from bench.server import EventLoop, Running, coturn, coturn_version, our_versions, ours

BUILD = Path(__file__).resolve().parents[1] / "build" / "bench"
TIER = "pure Python (relay/pure.py)"


class Bench:
    """Servers that run, and the generator to compare them with."""

    def __init__(self, program: Path, cores: Cores, effort: Effort, foreign_max_pct: float) -> None:
        self._program = program
        self._cores = cores
        self._effort = effort
        self._foreign_max_pct = foreign_max_pct
        self._servers: dict[str, Running] = {}
        self._runs = count()

    def add(self, server: Running) -> None:
        """Compare this server too."""
        self._servers[server.name] = server

    def row(self, scenario: Scenario) -> Row:
        """Measure all servers in one scenario."""

        def run(name: str) -> Sample:
            server = self._servers[name]
            return run_generator(
                self._program,
                self._cores.generator,
                server.address(scenario.transport),
                server.pid,
                [*scenario.arguments(self._effort), f"--bind={client_address(next(self._runs))}"],
            )

        runs, limit = self._effort.runs, self._foreign_max_pct
        samples = measure(list(self._servers), run, runs, limit)
        return Row(
            scenario,
            {name: summarize(scenario, each, runs, limit) for name, each in samples.items()},
        )


def client_address(run: int) -> str:
    """Return a loopback address for clients that no other run has.

    coturn remembers deleted allocations for a while: a client with the address and
    port of an earlier one would be told 437 (Allocation Mismatch).
    """
    return f"127.{run // 62_500 % 100 + 1}.{run // 250 % 250}.{run % 250 + 1}"


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--quick", is_flag=True, help="One short run each: tells that it works, no more.")
@click.option(
    "--only",
    multiple=True,
    type=click.Choice([each.name for each in SCENARIOS]),
    help="Only this scenario; may be given several times.",
)
@click.option("--runs", type=click.IntRange(1), help="Undisturbed runs for a median [3].")
@click.option("--duration", type=click.FloatRange(0.1, 60), help="Seconds of a run [4].")
@click.option(
    "--foreign",
    type=click.FloatRange(0),
    default=FOREIGN_MAX_PCT,
    show_default=True,
    help="CPU that others may use during a run, in % of a core.",
)
@click.option(
    "--event-loop",
    type=click.Choice(["auto", "asyncio", "uvloop"]),
    default="auto",
    show_default=True,
    help="Our server's.",
)
@click.option("--without-coturn", is_flag=True, help="Our server alone.")
@click.option("--json", "as_object", is_flag=True, help="One JSON object on standard output.")
def main(  # each option is an argument
    quick: bool,
    only: tuple[str, ...],
    runs: int | None,
    duration: float | None,
    foreign: float,
    event_loop: EventLoop,
    without_coturn: bool,
    as_object: bool,
) -> None:
    """Compare this TURN server with coturn.

    Both run on one core, the load generator on another, all on the loopback
    interface. Runs take turns, figures are medians. Needs a C compiler and
    libssl-dev; coturn is compared if `turnserver` is installed.

    Exit status: 0 measured, 1 could not measure, 2 wrong usage.
    """
    effort = QUICK if quick else THOROUGH
    effort = replace(effort, runs=runs or effort.runs, duration_s=duration or effort.duration_s)
    signal.signal(signal.SIGTERM, _end)
    raise_file_limit()
    try:
        facts, rows = compare(chosen(only), effort, foreign, event_loop, not without_coturn)
    except BenchError as error:
        raise click.ClickException(str(error)) from error
    if as_object:
        click.echo(json.dumps(as_json(facts, rows), indent=2))
    else:
        click.echo(f"{heading(facts)}\n\n{table(rows)}")


def compare(
    scenarios: tuple[Scenario, ...],
    effort: Effort,
    foreign_max_pct: float,
    event_loop: EventLoop,
    with_coturn: bool,
) -> tuple[dict[str, str], list[Row]]:
    """Start the servers, measure, and end what was started."""
    cores = choose_cores()
    facts = {**describe(cores), **our_versions(event_loop), "data plane": TIER}
    bench = Bench(compile_generator(BUILD), cores, effort, foreign_max_pct)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="turn-bench-")))
        bench.add(stack.enter_context(ours(folder, cores.server, event_loop)))
        installed = coturn_version() if with_coturn else None
        if installed is not None:
            bench.add(stack.enter_context(coturn(installed[0], folder, cores.server)))
        facts["coturn"] = installed[1] if installed else "not compared"
        facts["measured"] = (
            f"10 allocations, medians of {effort.runs} runs of {effort.duration_s:g} s, "
            f"loopback, others at most {foreign_max_pct:g} % of a core"
        )
        rows = []
        for scenario in scenarios:
            click.echo(f"{scenario.name} ...", err=True)
            rows.append(bench.row(scenario))
    return facts, rows


def _end(_signal: int, _frame: FrameType | None) -> None:
    """End like Ctrl-C does: leave every context, and with it every process."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
