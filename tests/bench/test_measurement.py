"""Runs take turns, disturbed ones are repeated and left out, medians are taken."""

from collections.abc import Iterator

import pytest

from bench.measurement import Figures, Row, measure, remarks, summarize
from bench.scenario import Scenario
from tests.bench.figure import GOOD, sample

PACKETS = Scenario("x", "X")
PACED = Scenario("x", "X", rate=100)
ALLOCATIONS = Scenario("x", "X", counts="allocation")


def test_servers_take_turns() -> None:
    asked: list[str] = []

    def run(name: str) -> object:
        asked.append(name)
        return GOOD

    found = measure(["a", "b"], run, runs=3)  # type: ignore[arg-type]
    assert asked == ["a", "b", "a", "b", "a", "b"]
    assert found == {"a": [GOOD] * 3, "b": [GOOD] * 3}


def test_a_disturbed_round_is_repeated() -> None:
    foreign: Iterator[float] = iter([0, 80, 0, 0, 0, 0])
    found = measure(["a", "b"], lambda _: sample(foreign_pct=next(foreign)), runs=2)
    assert [each.foreign_pct for each in found["a"]] == [0, 0, 0]
    assert [each.foreign_pct for each in found["b"]] == [80, 0, 0]


def test_it_is_not_repeated_for_ever() -> None:
    found = measure(["a"], lambda _: sample(foreign_pct=80), runs=3)
    assert len(found["a"]) == 6


def test_median_of_undisturbed_runs() -> None:
    samples = [sample(pps=pps) for pps in (3, 1, 2)] + [sample(pps=99, foreign_pct=80)]
    found = summarize(PACKETS, samples, runs=3)
    assert (found.median.pps, found.runs, found.dropped, found.remarks) == (2, 3, 1, ())


def test_too_few_undisturbed_runs() -> None:
    samples = [sample(pps=1), sample(pps=2, foreign_pct=80), sample(pps=3, foreign_pct=80)]
    found = summarize(PACKETS, samples, runs=2)
    assert (found.median.pps, found.runs, found.dropped) == (2, 3, 0)
    assert found.remarks == ("disturbed",)


def test_own_limit_of_foreign_load() -> None:
    samples = [sample(foreign_pct=80)]
    assert summarize(PACKETS, samples, runs=1, foreign_max_pct=100).remarks == ()


@pytest.mark.parametrize(
    ("changes", "remark"),
    [
        ({"ready": 9}, "failed allocations"),
        ({"loss_pct": 2}, "loss"),
        ({"bad": 1}, "bad packets"),
        ({"gen_drops": 1}, "generator lost packets"),
        ({"gen_idle_pct": 1, "cpu_pct": 60}, "generator is the limit"),
    ],
)
def test_remark(changes: dict[str, float], remark: str) -> None:
    assert remarks(PACKETS, GOOD) == ()
    assert remarks(PACKETS, sample(**changes)) == (remark,)


@pytest.mark.parametrize("scenario", [PACED, ALLOCATIONS])
def test_a_generator_may_wait_for_its_clock(scenario: Scenario) -> None:
    assert remarks(scenario, sample(gen_idle_pct=1, cpu_pct=60)) == ()


def row(scenario: Scenario, **servers: Figures) -> Row:
    return Row(scenario, servers)


def figures(**changes: float) -> Figures:
    return Figures(sample(**changes), 3, 0, ())


def test_ratio_is_ours_to_theirs() -> None:
    found = row(
        PACKETS,
        ours=figures(pps=50, cpu_us_per_packet=20),
        coturn=figures(pps=100, cpu_us_per_packet=5),
    )
    assert found.ratio(found.per_second) == 0.5
    assert found.ratio(found.cpu_us) == 4


def test_allocations_have_figures_of_their_own() -> None:
    found = row(
        ALLOCATIONS,
        ours=figures(alloc_per_s=10, alloc_cpu_us=9),
        coturn=figures(alloc_per_s=20, alloc_cpu_us=3),
    )
    assert found.ratio(found.per_second) == 0.5
    assert found.ratio(found.cpu_us) == 3


def test_no_ratio_without_another_server_or_figure() -> None:
    alone = row(PACKETS, ours=figures())
    assert alone.ratio(alone.per_second) is None
    idle = row(PACKETS, ours=figures(), coturn=figures(cpu_us_per_packet=0))
    assert idle.ratio(idle.cpu_us) is None
