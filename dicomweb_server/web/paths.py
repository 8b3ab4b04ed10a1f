"""Paths as real clients spell them: repeated and trailing slashes mean nothing (no redirects)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

WsgiApp = Callable[[dict[str, Any], Any], Iterable[bytes]]


def tidy_paths(app: WsgiApp) -> WsgiApp:
    """Wrap an application so that `//dicom-web///studies/` is `/dicom-web/studies`."""

    def tidy(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if "//" in path or (path.endswith("/") and path != "/"):
            environ["PATH_INFO"] = "/" + "/".join(part for part in path.split("/") if part)
        return app(environ, start_response)

    return tidy
