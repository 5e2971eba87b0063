"""Where the files that are not Python code stand.

A checkout keeps ``conf/``, ``www/`` and ``plugins/`` beside the package; a
wheel carries them inside it. ``setup.py`` marks a checkout.
"""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def conf_dir() -> Path:
    """Return the folder with the reference ``server.ini`` and its configspec."""
    return _data_dir("conf")


def www_dir() -> Path:
    """Return the folder with the demo client."""
    return _data_dir("www")


def shipped_plugins_dir() -> Path | None:
    """Return the checkout's ``plugins/``.

    Returns:
        The folder, or None when the package was installed from a wheel: the
        shipped plugins are then ordinary modules in ``tornado_webrtc.plugins``.
    """
    folder = _PACKAGE.parent / "plugins"
    return folder if _in_checkout() and folder.is_dir() else None


def _data_dir(name: str) -> Path:
    return (_PACKAGE.parent if _in_checkout() else _PACKAGE) / name


def _in_checkout() -> bool:
    return (_PACKAGE.parent / "setup.py").is_file()
