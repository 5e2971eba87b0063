"""Problems and warnings come out in the order of the file."""

from pathlib import Path

import pytest

from tornado_webrtc.config.report import Report
from tornado_webrtc.config.source import Source
from tornado_webrtc.errors import ConfigError, Problem

TEXT = """[general]
domain = a ; b
wrong line
port = 1
[turn]
realm = a#b
"""


@pytest.fixture
def source(tmp_path: Path) -> Source:
    path = tmp_path / "server.ini"
    path.write_text(TEXT)
    return Source.read(path, {"TORNADO_WEBRTC__X": ""})


def test_all_problems_in_order(source: Source) -> None:
    report = Report(source)
    report.add(Problem("plugin x", "last"))
    report.problem(("turn", "realm"), "fourth")
    report.problem(("general", "port"), "third")
    report.problem(("general", "domain"), "first")
    with pytest.raises(ConfigError) as caught:
        report.raise_problems()
    messages = [problem.message for problem in caught.value.problems]
    assert messages[0] == "first"
    assert messages[1].startswith("this line is neither")
    assert messages[2:4] == ["third", "fourth"]
    assert messages[4] == "this variable names no section and key"
    assert messages[5] == "last"


def test_nothing_to_raise() -> None:
    Report(Source()).raise_problems()


def test_warnings_with_remarks_in_order(source: Source) -> None:
    report = Report(source)
    report.warn(("general", "port"), "second")
    messages = [warning.message for warning in report.warnings()]
    assert messages[0].startswith("`;` begins a comment")
    assert messages[1] == "second"
    assert messages[2].startswith("`#` begins a comment")


def test_no_remark_about_a_wrong_value(source: Source) -> None:
    report = Report(source)
    report.problem(("turn", "realm"), "wrong")
    assert report.is_wrong("turn", "realm")
    assert not report.is_wrong("general", "domain")
    assert [warning.where[-14:] for warning in report.warnings()] == ["general.domain"]
