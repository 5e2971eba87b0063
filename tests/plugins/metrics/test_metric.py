"""The table of metrics: named as Prometheus wants it, and complete."""

import re
from pathlib import Path

import pytest

from tornado_webrtc.plugins.metrics.metric import METRICS, Metric

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("metric", METRICS.values(), ids=lambda metric: metric.name)
def test_names_and_labels(metric: Metric) -> None:
    assert re.fullmatch(r"[a-z][a-z_]*[a-z]", metric.name)
    assert not re.search(r"_(total|count|sum|bucket|created|info)$", metric.name)
    assert all(re.fullmatch(r"[a-z]+", label) and label != "le" for label in metric.labels)
    assert all(len(values) == len(metric.labels) for values in metric.known)
    assert len(set(metric.known)) == len(metric.known)
    assert re.fullmatch(r"[A-Z0-9][^\n]+\.", metric.help), "a sentence"


def test_a_name_stands_for_one_metric() -> None:
    assert all(name == metric.name for name, metric in METRICS.items())
    exposed = [metric.exposed for metric in METRICS.values()]
    assert len(set(exposed)) == len(exposed)


@pytest.mark.parametrize(
    ("name", "exposed"),
    [
        ("peers", "tornado_webrtc_peers"),
        ("sign_ins", "tornado_webrtc_sign_ins_total"),
        ("build", "tornado_webrtc_build_info"),
        ("call_setup_seconds", "tornado_webrtc_call_setup_seconds"),
    ],
)
def test_names_as_queries_have_them(name: str, exposed: str) -> None:
    assert METRICS[name].exposed == exposed


def test_what_is_there_from_the_start() -> None:
    assert METRICS["sign_ins"].initial == ((),)
    assert METRICS["calls"].initial == (("offered",), ("answered",))
    assert METRICS["certificate_days_left"].initial == (), "there may be none"
    assert METRICS["events"].initial == ()


def test_every_code_of_the_core_is_known() -> None:
    sources = (ROOT / "tornado_webrtc").rglob("*.py")
    text = "".join(path.read_text(encoding="utf-8") for path in sources)
    codes = set(re.findall(r"SignalingError\(\s*\"([a-z-]+)\"", text))
    assert len(codes) > 10
    assert {(code,) for code in codes} <= set(METRICS["errors"].known)
