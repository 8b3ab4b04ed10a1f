"""A real server for the tests of this folder."""

import pytest

from dicomweb_server.testing.server import RunningServer


@pytest.fixture
def server(request, tmp_path):
    """A running server with two workers; its options come from the marker dicomweb_config."""
    marker = request.node.get_closest_marker("dicomweb_config")
    with RunningServer(marker.args[0] if marker else {}, folder=tmp_path) as running:
        yield running


@pytest.fixture(scope="session")
def shared(tmp_path_factory):
    """A running server for tests that only add to it."""
    with RunningServer(folder=tmp_path_factory.mktemp("shared")) as running:
        yield running
