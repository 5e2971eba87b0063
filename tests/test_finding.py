"""Findings: their order, and what programs see of them."""

from tornado_webrtc.finding import Finding, Level, worst


def finding(level: Level, hint: str = "") -> Finding:
    return Finding(subject="tls", level=level, text="so", hint=hint, values={"days": 3})


def test_worst() -> None:
    assert worst([]) is Level.OK
    assert worst(map(finding, Level)) is Level.PROBLEM
    assert worst([finding(Level.SKIPPED), finding(Level.OK)]) is Level.SKIPPED


def test_json() -> None:
    assert finding(Level.OK).as_json() == {"subject": "tls", "level": "ok", "text": "so", "days": 3}
    assert finding(Level.WARNING, "do").as_json()["hint"] == "do"
