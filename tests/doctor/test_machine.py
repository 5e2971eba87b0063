"""This machine: what its limits and its clock are judged by."""

import resource

import pytest

from tests.doctor.conftest import findings
from tornado_webrtc.config import Config, General
from tornado_webrtc.doctor import machine
from tornado_webrtc.doctor.case import Case
from tornado_webrtc.doctor.machine import (
    STA_UNSYNC,
    TIME_ERROR,
    buffer_finding,
    clock_finding,
    files_finding,
    read_clock,
)
from tornado_webrtc.finding import Level


async def test_this_machine_can_be_examined() -> None:
    case = Case(own=True)
    found = [
        *await findings(machine.runtime, case),
        *await findings(machine.limits, case),
        *await findings(machine.clock, case),
    ]
    subjects = [each.subject for each in found]
    assert subjects == ["python", "event loop", "relaying", "open files", "UDP buffers", "clock"]
    assert Level.PROBLEM not in {each.level for each in found}


async def test_uvloop_that_is_missing_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_name: str) -> None:
        raise ImportError

    monkeypatch.setattr(machine, "loop_factory", missing)
    case = Case(own=True, config=Config(general=General(event_loop="uvloop")))
    found = await findings(machine.runtime, case)
    assert found[1].level is Level.PROBLEM
    assert "pip install" in found[1].hint


@pytest.mark.parametrize(
    ("hard", "level"),
    [(1024, Level.WARNING), (65536, Level.OK), (resource.RLIM_INFINITY, Level.OK)],
)
def test_open_files(hard: int, level: Level) -> None:
    assert files_finding(1024, hard).level is level


def test_small_buffers_cost_data() -> None:
    assert buffer_finding(4 << 20).level is Level.OK
    found = buffer_finding(212992)
    assert found.level is Level.WARNING
    assert "208 kB" in found.text
    assert "net.core.rmem_max=4194304" in found.hint


@pytest.mark.parametrize(
    ("known", "level"),
    [
        ((0, 0x2001), Level.OK),
        ((0, STA_UNSYNC), Level.WARNING),
        ((TIME_ERROR, 0), Level.WARNING),
        (None, Level.WARNING),
    ],
)
def test_clock(known: tuple[int, int] | None, level: Level) -> None:
    assert clock_finding(known).level is level


def test_kernel_tells_the_state_of_its_clock() -> None:
    known = read_clock()
    assert known is not None
    assert 0 <= known[0] <= TIME_ERROR
