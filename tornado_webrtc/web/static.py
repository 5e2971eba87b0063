"""The demo page, or the operator's own folder: `[general] html_root`."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Any

from tornado.web import HTTPError, StaticFileHandler

from tornado_webrtc.web.handler import PageHandler

__all__ = ["ACME_CHALLENGE", "PageFiles"]

ACME_CHALLENGE = (".well-known", "acme-challenge")
"""The folders of challenges, the only dotted ones that are served (RFC 8555 section 8.3)."""

CONTENT_TYPES = {
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".wasm": "application/wasm",
    ".json": "application/json",
    ".webmanifest": "application/manifest+json",
}
"""What must be right for a browser to run a page, whatever this machine's tables say."""

IMMUTABLE_SUFFIXES = frozenset({".woff2", ".woff", ".ttf", ".png", ".jpg", ".webp", ".ico"})
MEDIA_CACHE_S = 3600


class PageFiles(PageHandler, StaticFileHandler):
    """Serves files below one folder: no listing, no dotfiles, no way out of it."""

    def validate_absolute_path(self, root: str, absolute_path: str) -> str | None:
        """Refuse dotfiles; a folder without index.html is not found, never listed."""
        parts = PurePosixPath(self.path).parts
        hidden = any(part.startswith(".") for part in parts)
        if "\0" in absolute_path or (hidden and not _is_acme_challenge(parts)):
            raise HTTPError(404)
        return super().validate_absolute_path(root, absolute_path)

    def compute_etag(self) -> str | None:
        """A tag from size and time: files may be replaced while the server runs."""
        if self.absolute_path is None:
            return None
        stat = Path(self.absolute_path).stat()
        return f'W/"{stat.st_mtime_ns:x}-{stat.st_size:x}"'

    def get_content_type(self) -> str:
        """The type by the file's name."""
        suffix = Path(self.absolute_path or "").suffix.lower()
        kind = CONTENT_TYPES.get(suffix) or super().get_content_type()
        return f"{kind}; charset=utf-8" if kind.startswith("text/") else kind

    def set_extra_headers(self, path: str) -> None:
        """Browsers ask again whether a page changed (304); pictures and fonts rest an hour."""
        suffix = Path(path).suffix.lower()
        cached = f"max-age={MEDIA_CACHE_S}" if suffix in IMMUTABLE_SUFFIXES else "no-cache"
        self.set_header("Cache-Control", cached)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Answer with the status in words; what is forbidden is not found."""
        if status_code == 403:  # noqa: PLR2004
            self.set_status(404)
            status_code = 404
        super().write_error(status_code, **kwargs)


def _is_acme_challenge(parts: tuple[str, ...]) -> bool:
    return parts[:2] == ACME_CHALLENGE and not any(part.startswith(".") for part in parts[2:])
