"""The error is caught by its own name only."""

from release.errors import ReleaseError


def test_it_says_what_it_was_told() -> None:
    assert str(ReleaseError("no changelog")) == "no changelog"
    assert not issubclass(ReleaseError, OSError | ValueError)
