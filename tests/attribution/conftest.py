"""Journeys and sessions that the attribution tests share."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import pytest

from influbayes.tables.session_reader import read_sessions

SHARED = Path(__file__).resolve().parents[2] / ".." / "shared" / "data"


@pytest.fixture(scope="session")
def shared():
    """Give the folder of reference data; skip, saying so, where it is not there."""
    for folder in (SHARED, SHARED.parent.parent / ".." / "shared" / "data"):
        if folder.is_dir():
            return folder
    pytest.skip("the reference data are not beside this checkout")


@pytest.fixture(scope="session")
def sample():
    return read_sessions(str(resources.files("influbayes.data") / "sessions.csv"))
