"""Findings as lines."""

import click

from tornado_webrtc.commands.report import finding_lines, lines, summary
from tornado_webrtc.finding import Finding, Level


def finding(level: Level, text: str = "so", hint: str = "") -> Finding:
    return Finding(subject="tls", level=level, text=text, hint=hint)


def shown(found: Finding) -> list[str]:
    return [click.unstyle(line) for line in finding_lines(found)]


def test_level_comes_first() -> None:
    assert shown(finding(Level.OK)) == ["ok      tls            so"]
    assert shown(finding(Level.PROBLEM, hint="do that")) == [
        "problem tls            so",
        " " * 23 + "-> do that",
    ]
    assert lines([finding(Level.OK)] * 2) == finding_lines(finding(Level.OK)) * 2


def test_long_texts_are_wrapped_below_themselves() -> None:
    first, second, hint, more = shown(finding(Level.WARNING, "word " * 20, "hint " * 20))
    assert max(map(len, (first, second, hint, more))) <= 100
    assert second.startswith(" " * 23 + "word")
    assert (hint[23:27], more[23:28]) == ("-> h", "   hi")


def test_what_a_server_says_cannot_steer_the_terminal() -> None:
    assert "\x1b" not in "".join(shown(finding(Level.WARNING, "a\x1b[2Jb\nc")))
    assert shown(finding(Level.OK, "")) == ["ok      tls            "]


def test_summary() -> None:
    assert summary([]) == "no problems, no warnings, 0 ok"
    found = [finding(each) for each in (Level.OK, Level.PROBLEM, Level.WARNING, Level.WARNING)]
    assert summary(found) == "1 problem, 2 warnings, 1 ok"
