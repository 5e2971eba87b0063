"""The version: where it stands, and what CHANGELOG.md says of it.

It stands in one place, `tornado_webrtc.__version__`. A released one has a chapter in
CHANGELOG.md: ``## 1.2.3``, and after that whatever the heading says, a date for example.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

from release.errors import ReleaseError

__all__ = ["check_tag", "notes", "source_version"]

SOURCE = Path("tornado_webrtc", "__init__.py")
_FORM = re.compile(r"\d+\.\d+\.\d+(?:(?:a|b|rc)\d+)?")
_HEADING = re.compile(r"^## (\S+).*$", re.MULTILINE)


def source_version(root: Path) -> str:
    """Return the version of the sources, without running them.

    Args:
        root: The folder of the sources.

    Raises:
        ReleaseError: There is none, or it is not of the form ``1.2.3`` or ``1.2.3rc4``.
    """
    tree = ast.parse((root / SOURCE).read_bytes())
    found = [_assigned(each) for each in tree.body if isinstance(each, ast.Assign)]
    versions = [version for name, version in found if name == "__version__"]
    if len(versions) != 1 or not _FORM.fullmatch(version := str(versions[0])):
        raise ReleaseError(
            f"{SOURCE}: __version__ is {', '.join(map(repr, versions)) or 'missing'}; "
            "allowed is one version such as '1.2.3' or '1.2.3rc1' (PEP 440)"
        )
    return version


def _assigned(statement: ast.Assign) -> tuple[str, object]:
    value = statement.value
    return ast.unparse(statement.targets[0]), getattr(value, "value", None)


def notes(changelog: str, version: str) -> str:
    """Return what a changelog says of a version, without the heading.

    Args:
        changelog: The text of CHANGELOG.md.
        version: Such as ``1.2.3``.

    Raises:
        ReleaseError: It has no chapter on that version, or an empty one.
    """
    _, *parts = _HEADING.split(changelog)
    chapters = dict(zip(parts[::2], parts[1::2], strict=True))
    if text := chapters.get(version, "").strip():
        return f"{text}\n"
    known = ", ".join(chapters) or "none"
    raise ReleaseError(
        f"CHANGELOG.md says nothing of {version}; its chapters: {known}. "
        f"Put '## {version}' and the date above what is new, and commit that."
    )


def check_tag(tag: str, version: str) -> None:
    """Refuse a tag of another version.

    Args:
        tag: Such as ``v1.2.3``.
        version: That of the sources.

    Raises:
        ReleaseError: They differ.
    """
    if tag != f"v{version}":
        raise ReleaseError(
            f"the tag is {tag!r}, but the sources are {version}: their tag is 'v{version}'. "
            f"Delete the tag, or change __version__ in {SOURCE} first."
        )
