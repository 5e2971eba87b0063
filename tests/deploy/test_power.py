"""deploy/deploy.sh: the power goes at the worst of moments, and nothing is lost."""

import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.deploy.machine import Machine
from tests.deploy.release import Workshop

pytestmark = [pytest.mark.timeout(300), pytest.mark.xdist_group("deploy-power")]

MOMENTS = {
    "the ZIP is unpacked": {"CUT_BEFORE": "mv */unpacked *"},
    "it is called one that is being made": {"CUT_AFTER": "mv */unpacked *"},
    "it is installed": {"CUT_BEFORE": "sync -f *making*"},
    "it is complete": {"CUT_BEFORE": "mv -T *making*"},
    "it has its name": {"CUT_AFTER": "mv -T *making*"},
    "it is written down what comes": {"CUT_AFTER": "mv *.pending */pending"},
    "the link is made": {"CUT_BEFORE": "mv -T */.current */current"},
    "it is switched over": {"CUT_AFTER": "mv -T */.current */current"},
    "the service is told": {"CUT_BEFORE": "systemctl restart *"},
    "the service has started": {"CUT_AFTER": "systemctl restart *"},
    "it is found good": {"CUT_AFTER": "mv *.verdict *verdict"},
    "it is over": {"CUT_AFTER": "rm */pending"},
}
"""What was done when the power goes: shell patterns of a command, before or after which."""

SWITCHED = list(MOMENTS).index("it is switched over")


@pytest.fixture(scope="module")
def worn(workshop: Workshop, good: Callable[[str], Path]) -> Iterator[Machine]:
    """A machine with a release that serves, and no good power supply."""
    with tempfile.TemporaryDirectory(prefix="tw-") as folder:
        machine = Machine(Path(folder), workshop)
        machine.configure(KEEP=50)
        machine.can_lose_power("mv", "rm", "sync", "systemctl")
        try:
            machine.deploy("--local", good("1.0.0"))
            yield machine
        finally:
            machine.stop()


def is_whole(machine: Machine) -> bool:
    """Whether `current` leads to a release that runs, and so is the newest that has a name."""
    names = [name for name in machine.releases() if not name.startswith(".")]
    assert machine.current() in names
    for name in {machine.current(), names[-1]}:
        said = machine.run(machine.root / "releases" / name / "bin" / "tornado-webrtc", "-V")
        assert f" {name.partition('-v')[2]} " in said
    return True


@pytest.mark.parametrize("moment", MOMENTS)
def test_power_cut_after(moment: str, worn: Machine, good: Callable[[str], Path]) -> None:
    before = worn.current()
    environ = MOMENTS[moment]
    worn.deploy("--local", good("1.1.0"), status=-signal.SIGKILL, environ=environ)
    worn.stop()
    assert is_whole(worn)
    switched = list(MOMENTS).index(moment) >= SWITCHED
    assert (worn.current() != before) == switched
    worn.boot()
    assert worn.serving() == ("1.1.0" if switched else "1.0.0")

    # The next run, whatever it is for, brings to an end what was begun.
    said = worn.deploy("--local", worn.path / "nothing.zip", status=1)
    assert worn.leftovers() == set()
    assert worn.listed()[worn.current()] == "good*"
    assert ("an earlier run was cut off" in said) == (switched and moment != "it is over")
    if switched:
        worn.deploy("--rollback", before)
    assert worn.serving() == "1.0.0"


def test_script_is_killed_and_the_old_server_still_runs(
    worn: Machine, good: Callable[[str], Path]
) -> None:
    """The link leads to a release that never ran: it is not taken for a good one."""
    before, pid = worn.current(), worn.pid()
    cut = MOMENTS["it is switched over"]
    worn.deploy("--local", good("1.2.0"), status=-signal.SIGKILL, environ=cut)
    assert worn.current() != before
    said = worn.deploy("--local", worn.path / "nothing.zip", status=1)
    assert f"back to {before}" in said
    assert (worn.current(), worn.pid()) == (before, pid), "nobody was cut off for that"
    assert worn.verdicts()["1.2.0"] == "bad"
    assert worn.serving() == "1.0.0"


def test_going_back_after_a_power_cut_goes_back_once(
    worn: Machine, good: Callable[[str], Path]
) -> None:
    worn.deploy("--local", good("1.2.0"))
    before = worn.current()
    cut = MOMENTS["it is switched over"]
    worn.deploy("--local", good("1.3.0"), status=-signal.SIGKILL, environ=cut)
    worn.stop()
    said = worn.deploy("--rollback")
    assert f"{before} runs again: that was the way back" in said
    assert worn.current() == before
    assert worn.listed()[before] == "good*"
    assert worn.serving() == "1.2.0"


@pytest.mark.parametrize("moment", ["before", "after"])
def test_power_cut_while_an_old_release_is_taken_away(
    moment: str, worn: Machine, good: Callable[[str], Path]
) -> None:
    environ = {f"CUT_{moment.upper()}": "mv -T *.removing-*", "DEPLOY_KEEP": "2"}
    worn.deploy("--local", good("1.3.0"), status=-signal.SIGKILL, environ=environ)
    worn.stop()
    assert is_whole(worn)
    worn.boot()
    worn.deploy("--local", worn.path / "nothing.zip", status=1)
    assert worn.leftovers() == set()
    assert worn.serving() == "1.3.0"
    assert is_whole(worn)
