"""deploy/remote.sh: what the workflow runs, with the real command line and an AWS of our own."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.deploy.cloud import BUCKET, Cloud
from tests.deploy.machine import DEPLOY, Machine
from tests.deploy.release import write_sum

pytestmark = [pytest.mark.timeout(300), pytest.mark.xdist_group("deploy-refusal")]

SCRIPT = DEPLOY / "remote.sh"
INSTANCE = "i-0123456789abcdef0"

SSM = """#!/usr/bin/env bash
# The command line, but what the machine does is told by a file: one status for each question.
case $* in
*get-command-invocation*)
    case $* in
    *"--query Status"*)
        head -n 1 {folder}/statuses
        sed -i 1d {folder}/statuses
        ;;
    *StandardOutput*) echo "installing" ;;
    *) echo "it did not become ready" ;;
    esac
    ;;
*) exec {real} "$@" ;;
esac
"""


UPLOADS = """#!/bin/sh
# Notes what is uploaded, which can be done if there is a file `ok`; what is started then fails.
case $* in
*"s3 cp"*) echo "$4" >> {folder}/sent; [ -e {folder}/ok ] ;;
*Status*) echo Failed ;;
esac
"""


@pytest.fixture
def zip_path(tmp_path: Path) -> Path:
    path = tmp_path / "tornado-webrtc-v1.0.0.zip"
    path.write_bytes(b"a release")
    write_sum(path)
    return path


@pytest.fixture(scope="module")
def instance(cloud: Cloud) -> str:
    """A machine that Systems Manager knows."""
    image = json.loads(cloud.aws("ec2", "describe-images", "--output", "json"))["Images"][0]
    said = cloud.aws("ec2", "run-instances", "--image-id", image["ImageId"], "--output", "json")
    return str(json.loads(said)["Instances"][0]["InstanceId"])


@pytest.fixture
def told(machine: Machine) -> Callable[..., None]:
    """Return a function that says what becomes of the command: a status for each question."""
    machine.program("aws", SSM.format(folder=machine.path, real=shutil.which("aws")))
    path = machine.path / "statuses"

    def tell(*statuses: str) -> None:
        path.write_text("\n".join(statuses))

    return tell


def test_release_is_uploaded_and_the_machine_told(
    machine: Machine, cloud: Cloud, zip_path: Path, instance: str
) -> None:
    arguments = ("-b", BUCKET, "-i", instance, "-f", zip_path)
    said = machine.deploy(*arguments, script=SCRIPT, environ=cloud.environ)
    assert f"s3://{BUCKET}/{zip_path.name} is uploaded" in said
    assert said.endswith(f"{zip_path.name} is deployed to {instance}\n")
    listed = cloud.aws("s3", "ls", f"s3://{BUCKET}/")
    assert {zip_path.name, f"{zip_path.name}.sha256"} <= set(listed.split())
    sent = json.loads(cloud.aws("ssm", "list-commands", "--output", "json"))["Commands"][-1]
    assert sent["DocumentName"] == "AWS-RunShellScript"
    assert sent["InstanceIds"] == [instance]
    script = "\n".join(sent["Parameters"]["commands"])
    assert script.endswith(f"/deploy.sh -b {BUCKET} -f {zip_path.name}")
    assert "docs/deployment.md" in script, "a machine without a release says what to do"
    assert sent["Parameters"]["executionTimeout"] == ["172800"]


@pytest.mark.parametrize("status", ["Failed", "TimedOut", "Cancelled", "Undeliverable"])
def test_deployment_fails(
    machine: Machine,
    cloud: Cloud,
    zip_path: Path,
    instance: str,
    told: Callable[..., None],
    status: str,
) -> None:
    told("Pending", "InProgress", status)
    environ = {**cloud.environ, "POLL_SECONDS": "0"}
    arguments = ("-b", BUCKET, "-i", instance, "-f", zip_path)
    said = machine.deploy(*arguments, script=SCRIPT, environ=environ, status=1)
    assert "installing\n" in said
    assert "it did not become ready\n" in said
    assert f"error: the deployment ended with the status {status}" in said
    assert (machine.path / "statuses").read_text() == "", "it was asked until it was over"


def test_waiting_has_an_end(
    machine: Machine, cloud: Cloud, zip_path: Path, instance: str, told: Callable[..., None]
) -> None:
    """Here a second is a hundredth of one."""
    told(*["InProgress"] * 10_000)
    clock = f"+0 x{100}"
    arguments = ("-f", clock, SCRIPT, "-b", BUCKET, "-i", instance, "-f", zip_path, "-t", "30")
    environ = {**cloud.environ, "POLL_SECONDS": "0"}
    faketime = Path(shutil.which("faketime") or "")
    said = machine.deploy(*arguments, script=faketime, environ=environ, status=1)
    assert "error: the deployment ended with the status InProgress" in said


def test_checksum_goes_last(machine: Machine, zip_path: Path) -> None:
    """A machine that finds both finds them whole; without the ZIP there is no sum of it."""
    machine.program("aws", UPLOADS.format(folder=machine.path))
    words = ("-b", BUCKET, "-i", INSTANCE, "-f", zip_path)
    machine.deploy(*words, script=SCRIPT, status=1)
    sent = machine.path / "sent"
    assert sent.read_text().split() == [str(zip_path)]
    sent.unlink()
    (machine.path / "ok").touch()
    machine.deploy(*words, script=SCRIPT, status=1)
    assert sent.read_text().split() == [str(zip_path), f"{zip_path}.sha256"]


def test_machine_that_nobody_knows(machine: Machine, zip_path: Path) -> None:
    machine.program("aws", '#!/bin/sh\n[ "$1" != ssm ]')
    words = ("-b", BUCKET, "-i", INSTANCE, "-f", zip_path)
    said = machine.deploy(*words, script=SCRIPT, status=1)
    assert f"error: no command can be sent to {INSTANCE}" in said


def test_nothing_can_be_uploaded(machine: Machine, cloud: Cloud, zip_path: Path) -> None:
    environ = {**cloud.environ, "AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_MAX_ATTEMPTS": "1"}
    arguments = ("-b", BUCKET, "-i", INSTANCE, "-f", zip_path)
    said = machine.deploy(*arguments, script=SCRIPT, environ=environ, status=1)
    assert f"s3://{BUCKET}/{zip_path.name} cannot be written" in said


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("-b", "a bucket; id"),
        ("-b", "$(id)"),
        ("-i", "i-1"),
        ("-i", "i-0123456789abcdef0; id"),
        ("-f", "release.zip"),
        ("-f", "tornado-webrtc-v1.0.0.zip;id.zip"),
        ("-f", "tornado-webrtc-v$(id).zip"),
        ("-t", "forever"),
        ("-t", "0"),
    ],
)
def test_values_that_a_shell_might_take_for_more(
    machine: Machine, zip_path: Path, option: str, value: str
) -> None:
    arguments = {"-b": BUCKET, "-i": INSTANCE, "-f": str(zip_path), option: value}
    words = [word for pair in arguments.items() for word in pair]
    said = machine.deploy(*words, script=SCRIPT, status=2)
    assert f"'{value}' is no " in said


def test_time_is_decimal(machine: Machine, cloud: Cloud, zip_path: Path, instance: str) -> None:
    arguments = ("-b", BUCKET, "-i", instance, "-f", zip_path, "-t", "0090")
    said = machine.deploy(*arguments, script=SCRIPT, environ=cloud.environ)
    assert said.endswith(f"{zip_path.name} is deployed to {instance}\n")


def test_it_stands_alone(machine: Machine, tmp_path: Path) -> None:
    """One file is enough to carry to where releases are made."""
    script = Path(shutil.copy(SCRIPT, tmp_path))
    said = machine.deploy("-b", "x", script=script, status=2)
    assert "error: 'x' is no bucket (-b)" in said


def test_checksum_is_missing(machine: Machine, zip_path: Path) -> None:
    zip_path.with_name(f"{zip_path.name}.sha256").unlink()
    words = ("-b", BUCKET, "-i", INSTANCE, "-f", zip_path)
    assert "have to be there" in machine.deploy(*words, script=SCRIPT, status=1)
