"""What the tests of the probe share: the probe application in this process, with notes in a folder."""

import pytest

from tests.conform.broken.judging import Judging


@pytest.fixture
def judging(tmp_path, monkeypatch):
    """Judges classes of connections, with the probe application in this process."""
    monkeypatch.setenv("WSGI_PROBE_FOLDER", str(tmp_path))
    return Judging()
