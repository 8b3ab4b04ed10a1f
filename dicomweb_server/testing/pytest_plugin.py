"""Fixtures for tests of extensions; pytest finds this module by itself.

Everything is imported inside of the fixtures: pytest loads plugins before coverage is measured.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from flask import Flask
    from flask.testing import FlaskClient

    from dicomweb_server.context import ServerContext

pytest.register_assert_rewrite("dicomweb_server.testing.contracts")


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker."""
    config.addinivalue_line(
        "markers",
        "dicomweb_config({...}): options of the application that the fixture dicomweb_app makes",
    )


@pytest.fixture
def dicomweb_config(request: pytest.FixtureRequest) -> Mapping[str, Any]:
    """The configuration of `dicomweb_app`: override it, or mark tests with `dicomweb_config`.

    Of several markers the nearest one wins, option by option.
    """
    merged: dict[str, Any] = {}
    for marker in request.node.iter_markers("dicomweb_config"):
        merged = {**marker.args[0], **merged}
    return merged


@pytest.fixture
def dicomweb_extensions() -> Sequence[tuple[str, object]]:
    """(name, module or object) pairs that `dicomweb_app` loads beside the installed ones."""
    return ()


@pytest.fixture
def dicomweb_app(
    tmp_path: Path,
    dicomweb_config: Mapping[str, Any],
    dicomweb_extensions: Sequence[tuple[str, object]],
) -> Iterator[Flask]:
    """An application with its data in a temporary folder."""
    from dicomweb_server.testing.apps import temporary_app

    with temporary_app(tmp_path, dicomweb_config, extensions=dicomweb_extensions) as app:
        yield app


@pytest.fixture
def dicomweb_context(dicomweb_app: Flask) -> ServerContext:
    """The context of `dicomweb_app`."""
    from dicomweb_server.testing.apps import context_of

    return context_of(dicomweb_app)


@pytest.fixture
def dicomweb_client(dicomweb_app: Flask) -> FlaskClient:
    """A client that calls `dicomweb_app` directly."""
    return dicomweb_app.test_client()
