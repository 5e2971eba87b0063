"""What the other tests here take for said in the sources is said there, and nothing else."""

import pytest

from tests.docs.source import said_in_sources


@pytest.mark.parametrize(
    "line",
    [
        "plugin …: … exploded",
        "the end is near",
        "on a Monday (508)",
        "clients are told to connect to …, a private or reserved address",
        "a restart will lose changes of the bans: nobody knows why",
    ],
)
def test_line_that_nobody_logs(line: str) -> None:
    assert not said_in_sources(line)


@pytest.mark.parametrize(
    "line",
    [
        "clients are told to connect to …",
        "clients are told to connect to …, a private address: nobody outside its network can",
        "a restart will lose changes of the bans: …",
        "peer … left: 'no-pong'",
        "the server is draining (508)",
    ],
)
def test_line_that_is_logged(line: str) -> None:
    assert said_in_sources(line)
