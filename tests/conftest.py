"""What tests share."""

from __future__ import annotations

import resource
from collections.abc import Iterator

import pytest

from scenes.engine.quality import QUALITIES
from scenes.engine.runner import studio


@pytest.fixture(autouse=True, scope="session")
def draft_studio() -> Iterator[None]:
    """Mobjects and scenes are made at draft quality, and Manim leaves no files behind."""
    with studio(QUALITIES["draft"]):
        yield


@pytest.fixture
def full_disk() -> Iterator[None]:
    """No file may grow beyond 64 kB, which the system reports much as it does a full disk."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)
