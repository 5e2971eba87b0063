"""The import namespace of every plugin: ``tornado_webrtc.plugins.NAME``.

Modules are found in this folder (a wheel puts the shipped plugins here), in
the checkout's ``plugins/``, then in the operators' folders in the order in
which they were added. Importing this package imports no plugin.
"""

import importlib
from pathlib import Path

from tornado_webrtc.paths import shipped_plugins_dir


def add_folder(path: Path) -> None:
    """Let the plugins in a folder be imported; adding it again changes nothing.

    Args:
        path: A folder that holds plugins: ``NAME.py`` files or ``NAME/`` packages.
    """
    folder = str(path.resolve())
    if folder not in __path__:
        __path__.append(folder)
    importlib.invalidate_caches()


if (_shipped := shipped_plugins_dir()) is not None:
    add_folder(_shipped)
