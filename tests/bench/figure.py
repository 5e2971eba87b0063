"""Samples as the generator would report them."""

from dataclasses import replace

from bench.generator import Sample

GOOD = Sample(
    allocations=10,
    ready=10,
    pps=100_000,
    loss_pct=0,
    cpu_us_per_packet=10,
    cpu_pct=99,
    p50_us=200,
    p99_us=300,
    gen_idle_pct=40,
    foreign_pct=1,
    gen_drops=0,
    bad=0,
    alloc_per_s=5_000,
    alloc_cpu_us=180,
)


def sample(**changes: float) -> Sample:
    """Return a good sample, but for these figures."""
    return replace(GOOD, **changes)
