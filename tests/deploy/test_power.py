"""deploy/deploy.sh: the power goes at the worst of moments, and nothing is lost."""

import re
import signal
from collections.abc import Iterator

import pytest

from tests.deploy.conftest import Good
from tests.deploy.machine import Machine, running_machine
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
def worn(workshop: Workshop, good: Good) -> Iterator[Machine]:
    """A machine with a release that serves, and no good power supply."""
    with running_machine(workshop) as machine:
        machine.configure(KEEP=50)
        machine.can_lose_power("mv", "rm", "sync", "systemctl")
        machine.deploy("--local", good("1.0.0"))
        yield machine


def is_whole(machine: Machine) -> bool:
    """Whether `current` leads to a release that runs, and so is the newest that has a name."""
    names = [name for name in machine.releases() if not name.startswith(".")]
    assert machine.current() in names
    for name in {machine.current(), names[-1]}:
        said = machine.run(machine.root / "releases" / name / "bin" / "tornado-webrtc", "-V")
        assert f" {name.partition('-v')[2]} " in said
    return True


@pytest.mark.parametrize("moment", MOMENTS)
def test_power_cut_after(moment: str, worn: Machine, good: Good) -> None:
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


def test_what_was_done_is_on_the_disk_before_it_is_relied_on(worn: Machine, good: Good) -> None:
    """A killed script loses nothing that it has written; a power cut does, until `sync`."""
    noted = worn.path / "noted"
    worn.deploy("--local", good("1.1.0"), environ={"NOTED": str(noted)})
    name = worn.current()
    known = {name: "NEW", str(worn.root): "ROOT"}
    others = ("rm -rf", "systemctl show", f"rm -f {worn.path}/")  # the last is the machine's own
    lines = []
    for line in noted.read_text().splitlines():
        for text, short in known.items():
            line = line.replace(text, short)  # noqa: PLW2901 - until it is short
        if not line.startswith(others):
            lines.append(re.sub(r"\.incoming-\w+", "INCOMING", line))
    worn.deploy("--rollback")
    assert lines == [
        "mv ROOT/INCOMING/unpacked ROOT/releases/.making-NEW",
        "sync -f ROOT/releases/.making-NEW",
        "mv -T ROOT/releases/.making-NEW ROOT/releases/NEW",
        "mv ROOT/.pending ROOT/pending",
        "sync -f ROOT",
        "mv -T ROOT/.current ROOT/current",
        "sync -f ROOT",
        "systemctl reset-failed tornado-webrtc",
        "systemctl restart tornado-webrtc",
        "mv ROOT/releases/.verdict ROOT/releases/NEW/verdict",
        "sync -f ROOT",
        "rm ROOT/pending",
    ]


def test_script_is_killed_and_the_old_server_still_runs(worn: Machine, good: Good) -> None:
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


def test_going_back_after_a_power_cut_goes_back_once(worn: Machine, good: Good) -> None:
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


def test_release_to_go_back_to_is_gone(machine: Machine, good: Good) -> None:
    """Somebody has tidied up by hand: no link leads nowhere then."""
    machine.deploy("--local", good("1.0.0"))
    pending = machine.root / "pending"
    pending.write_text(f"20200101T000000Z-v0.9.0 {machine.current()} bad\n")
    said = machine.deploy("--rollback", status=1)
    assert "cannot be written down" not in said
    pending.write_text(f"20200101T000000Z-v0.9.0 {machine.current()}\n")
    machine.stop()
    machine.deploy("--rollback", status=1)
    assert machine.current() == ""
    assert machine.verdicts() == {"1.0.0": "bad"}
    assert machine.leftovers() == set()


def test_power_cut_while_the_release_that_was_left_is_judged(worn: Machine, good: Good) -> None:
    """What somebody has gone back from is not what the next rollback goes to."""
    worn.deploy("--local", good("1.2.0"))
    before = worn.current()
    worn.deploy("--local", good("1.3.0"))
    left = worn.current()
    cut = {"CUT_AFTER": f"mv *.verdict */{before}/verdict"}
    worn.deploy("--rollback", status=-signal.SIGKILL, environ=cut)
    worn.stop()
    worn.boot()
    worn.deploy("--local", worn.path / "nothing.zip", status=1)
    assert worn.leftovers() == set()
    listed = worn.listed()
    assert (listed[before], listed[left]) == ("good*", "bad")


def test_power_cut_while_a_refused_release_is_taken_away(worn: Machine, good: Good) -> None:
    """What is half gone is not taken for a release."""
    text = worn.conf.read_text()
    worn.conf.write_text(f"{text}[nonsense]\n")
    before = worn.releases()
    cut = {"CUT_BEFORE": "rm -rf */releases/*v1.4.0"}
    worn.deploy("--local", good("1.4.0"), status=-signal.SIGKILL, environ=cut)
    worn.conf.write_text(text)
    assert not [name for name in worn.releases() if name.endswith("Z-v1.4.0") and name[0] != "."]
    worn.deploy("--local", worn.path / "nothing.zip", status=1)
    assert worn.releases() == before
    assert worn.leftovers() == set()


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("at", ["the beginning", "the end"])
def test_power_cut_while_an_old_release_is_taken_away(
    at: str, moment: str, worn: Machine, good: Good
) -> None:
    """It is taken away before a release is installed, if too many are there, or afterwards."""
    for version in ("1.2.0", "1.3.0"):
        worn.deploy("--local", good(version))
    keep = len(worn.releases()) - (at == "the beginning")
    environ = {f"CUT_{moment.upper()}": "mv -T *.removing-*", "DEPLOY_KEEP": str(keep)}
    worn.deploy("--local", good("1.4.0"), status=-signal.SIGKILL, environ=environ)
    worn.stop()
    assert is_whole(worn)
    worn.boot()
    worn.deploy("--local", worn.path / "nothing.zip", status=1)
    assert worn.leftovers() == set()
    assert worn.serving() == ("1.3.0" if at == "the beginning" else "1.4.0")
    assert is_whole(worn)
