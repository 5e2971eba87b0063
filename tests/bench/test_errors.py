"""The error is caught by its own name only."""

from bench.errors import BenchError


def test_it_says_what_it_was_told() -> None:
    assert str(BenchError("no compiler")) == "no compiler"
    assert not issubclass(BenchError, OSError | ValueError)
