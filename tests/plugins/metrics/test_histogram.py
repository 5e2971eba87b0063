"""Histograms: cumulative buckets, a sum, bounds that belong to their bucket."""

from tornado_webrtc.plugins.metrics.histogram import Histogram


def test_empty() -> None:
    histogram = Histogram(0.5, 1)
    assert histogram.buckets() == [("0.5", 0), ("1.0", 0), ("+Inf", 0)]
    assert histogram.total == 0


def test_buckets_are_cumulative_and_hold_their_bound() -> None:
    histogram = Histogram(0.5, 1, 10)
    for value in (0.2, 0.5, 0.6, 10, 11):
        histogram.observe(value)
    assert histogram.buckets() == [("0.5", 2), ("1.0", 3), ("10.0", 4), ("+Inf", 5)]
    assert histogram.total == 22.3


def test_negative_values_count_as_none() -> None:
    histogram = Histogram(1)
    histogram.observe(-5)
    assert (histogram.buckets(), histogram.total) == ([("1.0", 1), ("+Inf", 1)], 0)
