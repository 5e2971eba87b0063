"""Runs in turn, medians, and which runs do not count."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from statistics import median

from bench.generator import Sample
from bench.scenario import Scenario

__all__ = ["FOREIGN_MAX_PCT", "Figures", "Row", "measure", "summarize"]

FOREIGN_MAX_PCT = 5.0
LOSS_MAX_PCT = 1.0
IDLE_MIN_PCT = 5.0
SATURATED_PCT = 90.0
ROUNDS_PER_RUN = 2


@dataclass(frozen=True, slots=True)
class Figures:
    """One server in one scenario.

    Attributes:
        median: Of each figure over the runs that count.
        runs: How many those are.
        dropped: How many were left out since the machine did something else meanwhile.
        remarks: What to think of before believing it; empty when all is well.
    """

    median: Sample
    runs: int
    dropped: int
    remarks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """All servers in one scenario, by name; ours first."""

    scenario: Scenario
    figures: dict[str, Figures]

    def per_second(self, name: str) -> float:
        """Return what a server did in a second: packets, or allocations."""
        sample = self.figures[name].median
        return sample.pps if self.scenario.counts == "packet" else sample.alloc_per_s

    def cpu_us(self, name: str) -> float:
        """Return a server's CPU time for each packet, or allocation."""
        sample = self.figures[name].median
        packet = self.scenario.counts == "packet"
        return sample.cpu_us_per_packet if packet else sample.alloc_cpu_us

    def ratio(self, figure: Callable[[str], float]) -> float | None:
        """Return the first server's figure divided by the second's, if there are two."""
        if len(self.figures) < 2:  # noqa: PLR2004 - what a ratio takes
            return None
        first, second = (figure(name) for name in list(self.figures)[:2])
        return first / second if second else None


def measure(
    names: Sequence[str],
    run: Callable[[str], Sample],
    runs: int,
    foreign_max_pct: float = FOREIGN_MAX_PCT,
) -> dict[str, list[Sample]]:
    """Measure servers in turn, A B A B, until each has enough undisturbed runs.

    What the machine does otherwise changes within seconds: runs beside each other
    are comparable, all of A before all of B are not. A disturbed run is repeated,
    but not for ever.

    Args:
        names: The servers.
        run: Does one run.
        runs: How many undisturbed ones are wanted of each.
        foreign_max_pct: How much CPU others may use in one.

    Returns:
        All samples, by server.
    """
    samples: dict[str, list[Sample]] = {name: [] for name in names}
    for _ in range(runs * ROUNDS_PER_RUN):
        lacking = [
            name for name in names if len(undisturbed(samples[name], foreign_max_pct)) < runs
        ]
        if not lacking:
            break
        for name in names:  # the others too: a round is comparable as a whole
            samples[name].append(run(name))
    return samples


def undisturbed(samples: Sequence[Sample], foreign_max_pct: float) -> list[Sample]:
    """Return the runs during which others hardly used the machine."""
    return [each for each in samples if each.foreign_pct <= foreign_max_pct]


def summarize(
    scenario: Scenario,
    samples: Sequence[Sample],
    runs: int,
    foreign_max_pct: float = FOREIGN_MAX_PCT,
) -> Figures:
    """Take the median of what counts: undisturbed runs or, with too few, all."""
    clean = undisturbed(samples, foreign_max_pct)
    enough = len(clean) >= runs
    counted = clean if enough else list(samples)
    figures = {
        each.name: median(getattr(sample, each.name) for sample in counted)
        for each in fields(Sample)
    }
    found = Sample(**figures)
    marks = remarks(scenario, found)
    if not enough:
        marks = ("disturbed", *marks)
    return Figures(found, len(counted), len(samples) - len(counted), marks)


def remarks(scenario: Scenario, sample: Sample) -> tuple[str, ...]:
    """Say what speaks against a figure."""
    waited = scenario.rate or scenario.counts == "allocation"
    checks = {
        "failed allocations": sample.ready < sample.allocations,
        "loss": sample.loss_pct > LOSS_MAX_PCT,
        "bad packets": sample.bad > 0,
        "generator lost packets": sample.gen_drops > 0,
        "generator is the limit": not waited
        and sample.gen_idle_pct < IDLE_MIN_PCT
        and sample.cpu_pct < SATURATED_PCT,
    }
    return tuple(remark for remark, holds in checks.items() if holds)
