"""`tornado-webrtc plugins new`: a plugin to begin with, its tests, and a server to try it.

The files stand in ``conf/skeleton``; they are a plugin of the name `PLACEHOLDER`, which
works as it is.
"""

from __future__ import annotations

import importlib.util
import keyword
import shutil
import sys
import tempfile
from pathlib import Path

from tornado_webrtc.config import Plugins
from tornado_webrtc.discovery import RESERVED, survey
from tornado_webrtc.errors import TornadoWebrtcError
from tornado_webrtc.paths import conf_dir

__all__ = ["PLACEHOLDER", "make_skeleton"]

PLACEHOLDER = "my_plugin"


def make_skeleton(name: str, folder: Path) -> list[Path]:
    """Make a folder with a plugin that works, and its tests.

    Args:
        name: What the plugin is called: a Python identifier in lower case.
        folder: Where to; made if it is missing, and empty if it is there.

    Returns:
        The files, in alphabetical order.

    Raises:
        TornadoWebrtcError: If the name will not do, or the folder holds something or
            cannot be written. Of the plugin nothing is left behind.
    """
    if problem := _fault(name):
        raise TornadoWebrtcError(f"{name!r} is no name for a plugin: {problem}")
    source = conf_dir() / "skeleton"
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise TornadoWebrtcError(f"{folder} is there already; name another folder with --into")
        near = folder if folder.exists() else folder.parent
        near.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=near, prefix=f".{name}-") as scratch:
            made = Path(scratch) / "made"
            written = [_write(source, path, made, name) for path in _files(source)]
            _put(made, folder)
    except OSError as error:
        raise TornadoWebrtcError(f"{folder} cannot be written: {error.strerror}") from error
    return sorted(folder / path for path in written)


def _fault(name: str) -> str:
    if not name.isidentifier() or not name.isascii() or keyword.iskeyword(name):
        return "it has to be a Python identifier, such as call_limit"
    if name != name.lower():
        return "it has to be in lower case, as the environment's variables need it"
    if name.startswith("_"):
        return "an underscore in front hides a plugin"
    if name in RESERVED:
        return RESERVED[name]
    if name in survey(Plugins(), ()).names:
        return "there is a plugin of this name already"
    if name in sys.stdlib_module_names or name == "pytest" or _is_module(name):
        return "installed, it would hide the module of that name"
    return ""


def _is_module(name: str) -> bool:
    """Tell whether a module or package is installed; a mere folder on the way is none."""
    spec = importlib.util.find_spec(name)
    return spec is not None and spec.origin is not None


def _files(source: Path) -> list[Path]:
    return [
        path
        for path in sorted(source.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    ]


def _write(source: Path, path: Path, folder: Path, name: str) -> Path:
    """Write one file under its new name, with the new name in it."""
    relative = Path(_renamed(str(path.relative_to(source)), name))
    target = folder / relative
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(_renamed(path.read_text(encoding="utf-8"), name), encoding="utf-8")
    shutil.copymode(path, target)
    return relative


def _put(made: Path, folder: Path) -> None:
    """Move what was made to its place: a folder that is there stays itself, with its owner."""
    if folder.exists():
        for part in made.iterdir():
            part.replace(folder / part.name)
    else:
        made.chmod(0o755)
        made.replace(folder)


def _renamed(text: str, name: str) -> str:
    return text.replace(PLACEHOLDER, name).replace(
        PLACEHOLDER.replace("_", "-"), name.replace("_", "-")
    )
