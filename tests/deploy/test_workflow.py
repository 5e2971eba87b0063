""".github/workflows/deploy.yml: one run for an environment, no stored keys, nothing injected.

That it is valid is tested with all workflows, in tests/release.
"""

import re
from pathlib import Path
from typing import Any

import pytest

from tests.release.workflow import ROOT, run_step, workflow

PATH = ROOT / ".github" / "workflows" / "deploy.yml"
TEXT = PATH.read_text(encoding="utf-8")


def job() -> dict[str, Any]:
    (found,) = workflow("deploy")["jobs"].values()
    return dict(found)


def test_a_person_starts_it() -> None:
    found = workflow("deploy")["on"]
    assert [*found] == ["workflow_dispatch"]
    inputs = found["workflow_dispatch"]["inputs"]
    assert inputs["environment"]["options"] == ["develop", "qa", "staging", "production"]
    assert {*inputs} == {"environment", "version"}
    assert all(each["required"] for each in inputs.values())


def test_one_at_a_time_for_each_environment() -> None:
    assert workflow("deploy")["concurrency"] == {
        "group": "deploy-${{ inputs.environment }}",
        "cancel-in-progress": False,
    }
    assert job()["environment"] == "${{ inputs.environment }}"


def test_role_is_taken_without_keys() -> None:
    assert workflow("deploy")["permissions"] == {}
    assert job()["permissions"] == {"contents": "read", "id-token": "write"}
    assert "secrets." not in TEXT
    assert not re.search("(?i)access.key", TEXT)
    (step,) = [each for each in job()["steps"] if "credentials" in each.get("uses", "")]
    assert step["with"]["role-to-assume"] == "${{ vars.DEPLOY_ROLE }}"
    names = [each.get("uses", each.get("name", "")) for each in job()["steps"]]
    assert names.index(step["uses"]) > names.index("Fetch the release"), "as late as it can be"


def test_nothing_is_put_into_a_script() -> None:
    scripts = [each["run"] for each in job()["steps"] if "run" in each]
    assert len(scripts) == 3
    assert all("${{" not in script for script in scripts)


def test_it_runs_the_script_that_is_tested() -> None:
    last = job()["steps"][-1]["run"]
    assert last == 'deploy/remote.sh -b "$BUCKET" -i "$INSTANCE" -f "$ZIP"'
    assert job()["timeout-minutes"] * 60 > 1800 + 120, "as long as remote.sh waits"


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("1.2.3", "TAG=v1.2.3\nZIP=tornado-webrtc-v1.2.3.zip\n"),
        ("v1.2.3", "TAG=v1.2.3\nZIP=tornado-webrtc-v1.2.3.zip\n"),
        ("1.2.3rc1", "TAG=v1.2.3rc1\nZIP=tornado-webrtc-v1.2.3rc1.zip\n"),
        ("1.2", ""),
        ("main", ""),
        ("", ""),
        ("1.2.3; id", ""),
        ("1.2.3\nBASH_ENV=x", ""),
        ("$(id)", ""),
        ("../1.2.3", ""),
    ],
)
def test_version_that_was_asked_for(tmp_path: Path, version: str, expected: str) -> None:
    script = job()["steps"][0]["run"]
    environment = tmp_path / "env"
    environment.touch()
    done = run_step(script, tmp_path, {"VERSION": version, "GITHUB_ENV": str(environment)})
    assert environment.read_text() == expected
    assert done.returncode == (0 if expected else 1)
    assert ("::error::" in done.stdout) == (not expected)
