"""Fixtures for logins."""

import pytest

from tests.login.provider import Provider


@pytest.fixture
def provider():
    running = Provider()
    yield running
    running.close()
