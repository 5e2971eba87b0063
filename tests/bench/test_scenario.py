"""The load that a scenario means, in the generator's options."""

from bench.scenario import QUICK, SCENARIOS, THOROUGH, Scenario, chosen


def test_options_say_everything() -> None:
    scenario = Scenario("x", "X", "p2c", size=1200, transport="tcp", mode="indication")
    assert scenario.arguments(THOROUGH) == [
        "--allocations=10",
        "--direction=p2c",
        "--size=1200",
        "--transport=tcp",
        "--mode=indication",
        "--duration=4",
        "--warmup=0.5",
    ]


def test_fixed_rate() -> None:
    assert "--rate=10000" in Scenario("x", "X", rate=10_000).arguments(QUICK)
    assert not any(each.startswith("--rate") for each in Scenario("x", "X").arguments(QUICK))


def test_many_allocations() -> None:
    arguments = Scenario("x", "X", counts="allocation").arguments(QUICK)
    assert f"--allocations={QUICK.many}" in arguments


def test_choice_keeps_the_order_of_the_report() -> None:
    first, *_, last = SCENARIOS
    assert chosen((last.name, first.name)) == (first, last)
    assert chosen(()) == SCENARIOS


def test_names_are_unique() -> None:
    assert len({each.name for each in SCENARIOS}) == len(SCENARIOS)
