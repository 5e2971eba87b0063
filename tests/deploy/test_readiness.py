"""deploy/deploy.sh: when a release is taken for one that serves, and what is said if it is not."""

import re
import shutil
import signal
import socket
from pathlib import Path

import pytest

from tests.deploy.conftest import Good, MakeZip
from tests.deploy.machine import Machine
from tests.deploy.release import BROKEN, MUTE, adding

pytestmark = [pytest.mark.timeout(300), pytest.mark.xdist_group("deploy-power")]

ONCE_READY = """#!/bin/bash
# curl; but after the first answer that is a good one, what gave it is gone.
{real} "$@" || exit
if [[ -e {machine}/short-lived ]]; then
    rm {machine}/short-lived
    kill -KILL "$(cat {machine}/pid)"
    while read -r -d '' _ < "/proc/$(cat {machine}/pid)/cmdline"; do sleep 0.01; done 2>/dev/null
fi
"""


def ready_once(machine: Machine) -> Path:
    """Let the server end when it has said that it is ready, if the file is there."""
    real = shutil.which("curl")
    machine.program("curl", ONCE_READY.format(machine=machine.path, real=real))
    return machine.path / "short-lived"


def test_release_that_never_becomes_ready_is_rolled_back(
    machine: Machine, good: Good, make_zip: MakeZip
) -> None:
    machine.deploy("--local", good("1.0.0"))
    mute = make_zip("1.1.0", edits={"tornado_webrtc/server.py": adding(MUTE)})
    said = machine.deploy("--local", mute, status=1, environ={"DEPLOY_READY_SECONDS": "1"})
    assert "this release waits for what never comes" in said
    assert machine.serving() == "1.0.0"
    assert machine.verdicts() == {"1.1.0": "bad", "1.0.0": "good*"}


def test_release_that_does_not_stay_ready_is_rolled_back(machine: Machine, good: Good) -> None:
    """It is asked a second time."""
    short_lived = ready_once(machine)
    machine.deploy("--local", good("1.0.0"))
    short_lived.touch()
    machine.deploy("--local", good("1.1.0"), status=1)
    assert not short_lived.exists()
    assert machine.serving() == "1.0.0"
    assert machine.verdicts() == {"1.1.0": "bad", "1.0.0": "good*"}


def test_release_does_not_stay_ready_after_a_run_that_was_cut_off(
    machine: Machine, good: Good
) -> None:
    """The next run is not content with one answer, either."""
    short_lived = ready_once(machine)
    machine.can_lose_power("systemctl")
    machine.deploy("--local", good("1.0.0"))
    cut = {"CUT_AFTER": "systemctl restart *"}
    machine.deploy("--local", good("1.1.0"), status=-signal.SIGKILL, environ=cut)
    assert machine.serving() == "1.1.0"
    short_lived.touch()
    machine.deploy("--local", machine.path / "nothing.zip", status=1)
    assert not short_lived.exists()
    assert machine.serving() == "1.0.0"
    assert machine.verdicts() == {"1.1.0": "bad", "1.0.0": "good*"}


def test_service_that_starts_something_else_is_not_taken_for_the_release(
    machine: Machine, good: Good
) -> None:
    """A unit that was left on another folder would serve the old version for ever."""
    machine.deploy("--local", good("1.0.0"))
    first = machine.root / "releases" / machine.current()
    systemctl = machine.path / "bin" / "systemctl"
    text = systemctl.read_text().replace(f"{machine.root}/current/bin", f"{first}/bin")
    machine.program("systemctl", text)
    machine.deploy("--local", good("1.1.0"), status=1, environ={"DEPLOY_READY_SECONDS": "1"})
    assert machine.current() == first.name
    assert machine.serving() == "1.0.0"


def test_why_it_is_not_ready(machine: Machine, good: Good, make_zip: MakeZip) -> None:
    machine.deploy("--local", good("1.0.0"))
    machine.configure(READY_SECONDS=1)
    new = good("1.1.0")
    for url, why in (
        (f"https://127.0.0.1:{machine.port}/readyz", r"curl: \(35\)"),
        (f"http://127.0.0.1:{machine.port}/nothing", r"curl: \(22\) .*404"),
    ):
        said = machine.deploy("--local", new, status=1, environ={"DEPLOY_READY_URL": url})
        assert re.search(rf"v1.1.0 is not ready: {re.escape(url)}: {why}", said), said
        assert "v1.1.0 did not become ready; NOTHING SERVES: look at " in said, "as far as it sees"
    broken = make_zip("1.2.0", edits={"tornado_webrtc/server.py": adding(BROKEN)})
    said = machine.deploy("--local", broken, status=1)
    assert "v1.2.0 is not ready: tornado-webrtc.service does not run it" in said


def test_log_that_cannot_be_shown(machine: Machine, good: Good, make_zip: MakeZip) -> None:
    """How it ended is said all the same."""
    machine.deploy("--local", good("1.0.0"))
    before = machine.current()
    broken = make_zip("1.1.0", edits={"tornado_webrtc/server.py": adding(BROKEN)})
    said = machine.deploy("--local", broken, status=1, environ={"DEPLOY_JOURNALCTL": "false"})
    assert re.search(rf"error: \S+-v1.1.0 did not become ready; {before} serves again", said)


def test_release_that_takes_its_time(machine: Machine, good: Good) -> None:
    """It is asked until it answers."""
    slow = machine.path / "slow"
    slow.touch()
    early = f"#!/bin/bash\nif [[ -e {slow} ]]; then rm {slow}; exit 7; fi\n"
    machine.program("curl", f'{early}exec {shutil.which("curl")} "$@"\n')
    machine.deploy("--local", good("1.0.0"))
    assert not slow.exists()
    assert machine.verdicts() == {"1.0.0": "good*"}


def test_nobody_answers(machine: Machine, good: Good) -> None:
    """A question has an end, whoever takes the connection."""
    seconds = 'for each; do [[ $each != 5 ]] || each=0.2; all+=("$each"); done\n'
    machine.program(
        "curl", f'#!/bin/bash\nall=()\n{seconds}exec {shutil.which("curl")} "${{all[@]}}"\n'
    )
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/readyz"
        environ = {"DEPLOY_READY_URL": url, "DEPLOY_READY_SECONDS": "1"}
        said = machine.deploy("--local", good("1.0.0"), status=1, environ=environ)
    assert re.search(rf"v1.0.0 is not ready: {re.escape(url)}: curl: \(28\)", said), said


def test_proxies_and_habits_of_the_machine_do_not_matter(machine: Machine, good: Good) -> None:
    """Neither its proxies, which may lead nowhere, nor what root has its curl do."""
    (machine.path / ".curlrc").write_text('interface = "nowhere0"\n')
    nowhere = "http://127.0.0.1:1"
    proxies = {"http_proxy": nowhere, "https_proxy": nowhere, "ALL_PROXY": nowhere}
    environ = {**proxies, "HOME": str(machine.path)}
    machine.deploy("--local", good("1.0.0"), environ=environ)
    assert machine.verdicts() == {"1.0.0": "good*"}
