"""All files of a release, from the commit that is checked out: `make release`."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

import click

if __name__ == "__main__" and not __package__:  # python release/build.py
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from release.archive import checksums
from release.bundle import SUMS, make_bundle
from release.checkout import check_clean, commit_time, export
from release.errors import ReleaseError
from release.package import make_packages
from release.version import check_tag, notes, source_version

ROOT = Path(__file__).resolve().parents[1]


def make_release(root: Path, output: Path, *, tag: str = "", unreleased: bool = False) -> Path:
    """Make sdist, wheel, ZIP and checksums.

    Args:
        root: A checkout without changes.
        output: The folder to put them into; files of the same names are replaced.
        tag: The tag that the version has to fit; empty: none.
        unreleased: Whether CHANGELOG.md need not know the version.

    Returns:
        The ZIP.

    Raises:
        ReleaseError: The sources are not fit for it. Then nothing was written.
    """
    check_clean(root)
    with tempfile.TemporaryDirectory(prefix="release-") as name:
        source, made = Path(name, "source"), Path(name, "made")
        export(root, source)
        made.mkdir()
        version = source_version(source)
        if tag:
            check_tag(tag, version)
        if not unreleased:
            notes((source / "CHANGELOG.md").read_text(encoding="utf-8"), version)
        bundle = _make(source, made, version, commit_time(root))
        output.mkdir(parents=True, exist_ok=True)
        for path in made.iterdir():
            shutil.copyfile(path, output / path.name)
    return output / bundle.name


def _make(source: Path, made: Path, version: str, modified: int) -> Path:
    # Packages are built in a copy: what their build leaves behind belongs into no ZIP.
    building = source.with_name("building")
    shutil.copytree(source, building, symlinks=True)
    sdist, wheel = make_packages(building, made, modified)
    bundle = make_bundle(source, wheel, version, made, modified)
    bundle.with_name(f"{bundle.name}.sha256").write_text(checksums([bundle], made))
    (made / SUMS).write_text(checksums([sdist, wheel, bundle], made))
    return bundle


@click.command()
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    default=ROOT / "dist",
    help="Where to put the files; dist/ if not given.",
)
@click.option("--tag", default="", help="Fail unless this is the tag of the version.")
@click.option("--unreleased", is_flag=True, help="CHANGELOG.md need not know the version.")
@click.option("--notes", "only_notes", is_flag=True, help="Print what is new, and make nothing.")
def main(output: Path, tag: str, unreleased: bool, only_notes: bool) -> None:
    """Make sdist, wheel, ZIP and checksums of the commit that is checked out."""
    try:
        if only_notes:
            text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
            click.echo(notes(text, source_version(ROOT)), nl=False)
            return
        bundle = make_release(ROOT, output, tag=tag, unreleased=unreleased)
    except ReleaseError as error:
        raise click.ClickException(str(error)) from None
    click.echo((bundle.parent / SUMS).read_text(), nl=False)


if __name__ == "__main__":
    main()
