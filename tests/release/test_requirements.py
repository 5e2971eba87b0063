"""release/requirements.txt fits pyproject.toml; `make lock` makes it anew."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "release" / "requirements.txt").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = ("jwt", "redis", "uvloop")
PYTHONS = ("3.11", "3.12", "3.13", "3.14")


def entries() -> list[tuple[Requirement, list[str]]]:
    """Every library with its hashes."""
    found = []
    for entry in TEXT.replace("\\\n", " ").splitlines():
        requirement, *hashes = re.split(r"\s+--hash=", entry.strip())
        found.append((Requirement(requirement), hashes))
    return found


def wanted() -> list[Requirement]:
    """What pyproject.toml asks for, with the extras that images and ZIPs have."""
    optional = PROJECT["optional-dependencies"]
    return [
        Requirement(each)
        for each in (
            *PROJECT["dependencies"],
            *(each for name in EXTRAS for each in optional[name]),
        )
    ]


def applies(marker: Marker | None, python: str) -> bool:
    environment = {
        "python_version": python,
        "python_full_version": f"{python}.9",
        "platform_python_implementation": "CPython",
        "implementation_name": "cpython",
        "sys_platform": "linux",
    }
    return marker is None or marker.evaluate(environment)


@pytest.mark.parametrize("entry", entries(), ids=lambda entry: entry[0].name)
def test_one_version_and_its_hashes(entry: tuple[Requirement, list[str]]) -> None:
    requirement, hashes = entry
    assert re.fullmatch(r"==[^=,*]+", str(requirement.specifier))
    assert not requirement.url
    assert hashes
    assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", each) for each in hashes)


@pytest.mark.parametrize("python", PYTHONS)
def test_each_library_once(python: str) -> None:
    names = [canonicalize_name(each.name) for each, _ in entries() if applies(each.marker, python)]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("requirement", wanted(), ids=lambda each: each.name)
def test_it_has_what_the_project_asks_for(requirement: Requirement, python: str) -> None:
    """If this fails: `make lock`."""
    listed = {
        canonicalize_name(each.name): str(each.specifier).removeprefix("==")
        for each, _ in entries()
        if applies(each.marker, python)
    }
    version = listed.get(canonicalize_name(requirement.name))
    assert version, f"{requirement.name} is missing: make lock"
    assert requirement.specifier.contains(version, prereleases=True), f"{version}: make lock"


def test_tool_of_the_build_is_pinned() -> None:
    """To a version that pyproject.toml allows."""
    text = (ROOT / "release" / "constraints.txt").read_text(encoding="utf-8")
    (pinned,) = re.findall(r"^setuptools==([\d.]+)$", text, re.MULTILINE)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    (required,) = map(Requirement, project["build-system"]["requires"])
    assert required.name == "setuptools"
    assert required.specifier.contains(pinned)
