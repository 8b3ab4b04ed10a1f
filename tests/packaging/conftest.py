"""The wheel of the project, for all tests of this folder."""

import pytest

from tests.packaging.building import ROOT, SOURCES, built, copied


@pytest.fixture(scope="session")
def wheel(tmp_path_factory):
    """The wheel of the tree as it is."""
    folder = tmp_path_factory.mktemp("wheel")
    return built(copied(ROOT, folder / "tree", SOURCES), folder / "dist")
