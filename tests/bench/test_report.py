"""What the figures look like."""

import json

from bench.measurement import Figures, Row
from bench.report import as_json, heading, table
from bench.scenario import Scenario
from tests.bench.figure import sample

SCENARIO = Scenario("x", "Some load")
OURS = Figures(sample(pps=50_000, cpu_us_per_packet=20), 3, 1, ())
COTURN = Figures(sample(pps=100_000, cpu_us_per_packet=10, foreign_pct=70), 6, 0, ("disturbed",))
BOTH = Row(SCENARIO, {"ours": OURS, "coturn": COTURN})
ALONE = Row(SCENARIO, {"ours": OURS})


def test_heading_is_aligned() -> None:
    assert heading({"CPU": "fast", "kernel": "new"}) == "CPU     fast\nkernel  new"


def test_table() -> None:
    _, title, ours, coturn, ratio, *_ = table([BOTH]).splitlines()
    assert title == "Some load"
    assert ours.split() == ["ours", "50,000", "20.00", "200", "300", "3", "1%"]
    assert coturn.split() == ["coturn", "100,000", "10.00", "200", "300", "6", "70%", "[disturbed]"]
    assert ratio.split() == ["ours/coturn", "0.50", "2.00"]


def test_columns_stand_below_their_titles() -> None:
    titles, _, ours, *_ = table([BOTH]).splitlines()
    assert len(titles) == len(ours)
    assert titles.index("per second") + len("per second") == ours.index("50,000") + len("50,000")


def test_one_server_has_no_ratio() -> None:
    assert "ours/" not in table([ALONE]).partition("\n\n")[0]


def test_json() -> None:
    found = json.loads(json.dumps(as_json({"CPU": "fast"}, [BOTH])))
    assert found["facts"] == {"CPU": "fast"}
    (scenario,) = found["scenarios"]
    assert (scenario["name"], scenario["ratio_per_second"], scenario["ratio_cpu"]) == ("x", 0.5, 2)
    assert scenario["servers"]["ours"]["median"]["pps"] == 50_000
    assert scenario["servers"]["coturn"]["remarks"] == ["disturbed"]
