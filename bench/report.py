"""Figures as text for people and as JSON for programs."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from bench.measurement import Row

__all__ = ["as_json", "heading", "table"]

WIDTH = 42
EXPLANATION = """\
per second: packets delivered, or allocations made; more is better.
CPU: microseconds of the server's CPU time for each, system calls included; less is better.
p50, p99: latency in microseconds; in a closed loop it only mirrors the throughput, so
  compare it where packets come at a fixed rate.
ours/coturn: our figure divided by coturn's. foreign: CPU that others used, % of a core.
[disturbed]: too few runs without others; do not quote the line."""


def heading(facts: Mapping[str, str]) -> str:
    """Say on what, with what and how the figures were made."""
    width = max(map(len, facts))
    return "\n".join(f"{name:<{width}}  {value}" for name, value in facts.items())


def table(rows: Sequence[Row]) -> str:
    """Lay out the rows, two or three lines each."""
    title = f"{'':<{WIDTH}} {'per second':>10} {'CPU':>7} {'p50':>7} {'p99':>7}  runs foreign"
    return "\n".join([title, *(line for row in rows for line in _lines(row)), "", EXPLANATION])


def _lines(row: Row) -> Iterator[str]:
    yield row.scenario.title
    for name, figures in row.figures.items():
        sample = figures.median
        remarks = f"  [{', '.join(figures.remarks)}]" if figures.remarks else ""
        yield (
            f"{name:>{WIDTH}} {row.per_second(name):>10,.0f} {row.cpu_us(name):>7.2f} "
            f"{sample.p50_us:>7.0f} {sample.p99_us:>7.0f} {figures.runs:>5} "
            f"{sample.foreign_pct:>6.0f}%{remarks}"
        )
    rate, cpu = row.ratio(row.per_second), row.ratio(row.cpu_us)
    if rate is not None or cpu is not None:
        label = "/".join(list(row.figures)[:2])
        yield f"{label:>{WIDTH}} {_ratio(rate):>10} {_ratio(cpu):>7}"


def _ratio(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def as_json(facts: Mapping[str, str], rows: Sequence[Row]) -> dict[str, Any]:
    """Return everything, for `json.dumps`."""
    return {
        "facts": dict(facts),
        "scenarios": [
            {
                **asdict(row.scenario),
                "servers": {name: asdict(each) for name, each in row.figures.items()},
                "ratio_per_second": row.ratio(row.per_second),
                "ratio_cpu": row.ratio(row.cpu_us),
            }
            for row in rows
        ],
    }
