"""Test downloads with the hub's protocol, from a local server."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from extract.models.loading import _reason
from extract.trace import Trace
from tests.support.checkout import PROJECT as ROOT
from tests.support.hub import COMMIT, FakeHub
from tests.support.needed import skip_without

skip_without("torch")
skip_without("transformer_lens")

NAME = "tiny-gpt2"
WEIGHTS = "model.safetensors"
# The client writes received data to disk in chunks of 10 MiB.
CHUNK = 10 * 2**20
# Number of bytes after which a download is cut.
CUT_AFTER = 12 * 2**20

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a random GPT-2 that is large because of its many positions."""
    from transformers import GPT2Config, GPT2LMHeadModel

    from tests.support.extract_models import GPT_SIZES, TOKENIZER, tiny_model

    model_folder = tmp_path_factory.mktemp("hub") / NAME
    sizes = GPT_SIZES | {"n_embd": 64, "n_positions": 50_000}
    tiny_model(lambda: GPT2LMHeadModel(GPT2Config(**sizes))).save_pretrained(model_folder)
    TOKENIZER.save_pretrained(model_folder)
    assert (model_folder / WEIGHTS).stat().st_size > CUT_AFTER
    return model_folder


@pytest.fixture
def hub(folder: Path) -> Iterator[FakeHub]:
    with FakeHub(folder, NAME).running() as running:
        yield running


PATIENT = """
import runpy
from extract.models import loading

loading._PATIENCE = 60.0
runpy.run_module("extract", run_name="__main__")
"""
"""On a busy machine the server, which is part of this process, may take its time to answer."""


@pytest.fixture
def run(hub: FakeHub, tmp_path: Path) -> Run:
    """Return a function that extracts from the local server in a subprocess with an empty cache."""

    def run(
        model: str = NAME, largest_file: int | None = None, **settings: str
    ) -> subprocess.CompletedProcess[str]:
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith("HF_")
        }
        environment |= {
            "HF_ENDPOINT": hub.url,
            "HF_HOME": str(tmp_path / "cache"),
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_DOWNLOAD_TIMEOUT": "60",
            "HF_HUB_ETAG_TIMEOUT": "60",
            # Makes the client draw progress bars although stderr is not a terminal.
            "TQDM_POSITION": "-1",
        }

        out = tmp_path / "out.st"

        def limit() -> None:
            if largest_file is not None:
                resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))

        return subprocess.run(
            [sys.executable, "-c", PATIENT, "--no-latent", "--model", model, "--out", out],
            cwd=ROOT,
            env=environment | settings,
            preexec_fn=limit,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def failure(result: subprocess.CompletedProcess[str]) -> str:
    """Return the one error line of a failed run; other lines are progress bars."""
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    lines = [line for line in result.stderr.splitlines() if "Error" in line]
    assert len(lines) == 1, result.stderr
    assert lines[0] == result.stderr.splitlines()[-1]
    return lines[0]


def unfinished_files(tmp_path: Path) -> list[str]:
    """Return the names of incomplete downloads and of any trace."""
    endings = (".incomplete", ".part", ".st")
    return [path.name for path in tmp_path.rglob("*") if path.name.endswith(endings)]


@pytest.mark.slow
def test_a_model_is_downloaded_once_and_then_needs_no_network(
    run: Run, hub: FakeHub, tmp_path: Path
) -> None:
    first = run()
    assert first.returncode == 0, first.stderr
    assert WEIGHTS in first.stderr, "a download has a progress bar"
    trace = Trace.load(tmp_path / "out.st")
    source = trace.meta.source
    assert (source.kind, source.name, source.revision) == ("hub", NAME, COMMIT)
    assert hub.downloads(WEIGHTS) == [None]

    n_requests = len(hub.requests)
    hub_that_is_gone = {"HF_ENDPOINT": "http://127.0.0.1:9"}
    for settings in ({"HF_HUB_OFFLINE": "1"}, hub_that_is_gone):
        (tmp_path / "out.st").unlink()
        again = run(**settings)
        assert again.returncode == 0, again.stderr
        assert len(hub.requests) == n_requests
        assert Trace.load(tmp_path / "out.st").meta == trace.meta


@pytest.mark.slow
def test_a_connection_that_is_cut_is_resumed(run: Run, hub: FakeHub, tmp_path: Path) -> None:
    hub.cut[WEIGHTS] = CUT_AFTER
    result = run()
    assert result.returncode == 0, result.stderr
    assert hub.downloads(WEIGHTS) == [None, f"bytes={CHUNK}-"]
    assert not hub.cut
    assert max(Trace.load(tmp_path / "out.st").meta.self_check.values()) < 1e-5


@pytest.mark.slow
def test_a_model_that_the_hub_does_not_have(run: Run, tmp_path: Path) -> None:
    message = failure(run("no-such-model"))
    assert message.startswith("Error: no-such-model: there is no such model on the hub, and no")
    assert not unfinished_files(tmp_path)


@pytest.mark.slow
def test_a_model_that_is_not_downloaded_yet_while_offline(run: Run, hub: FakeHub) -> None:
    message = failure(run(HF_HUB_OFFLINE="1"))
    assert message.startswith(f"Error: {NAME}: it is not downloaded yet, and HF_HUB_OFFLINE is set")
    assert not hub.requests


@pytest.mark.slow
def test_a_hub_that_stops_answering(run: Run, hub: FakeHub, tmp_path: Path) -> None:
    hub.stall.add(WEIGHTS)
    message = failure(run(HF_HUB_DOWNLOAD_TIMEOUT="1"))
    assert message == f"Error: {NAME}: the hub does not answer in time; run again"
    assert not unfinished_files(tmp_path)


@pytest.mark.slow
def test_a_disk_without_room(run: Run, tmp_path: Path) -> None:
    message = failure(run(largest_file=2**20))
    assert message == (
        f"Error: {NAME}: there is no room for it on the disk; free some space (see HF_HOME) and "
        "run again"
    )
    assert not unfinished_files(tmp_path)
    assert run().returncode == 0


def test_reasons_that_the_local_server_cannot_cause() -> None:
    class GatedRepoError(OSError):
        pass

    class ConnectError(ConnectionError):
        pass

    outer = OSError("long\nexplanation")
    outer.__cause__ = GatedRepoError("401")
    assert _reason(outer).startswith("this model asks for permission")
    outer.__cause__ = ConnectError("refused")
    reason = _reason(outer)
    assert reason.startswith(
        "the Hugging Face hub cannot be reached; try again, or trace the packaged"
    )
    assert reason.endswith("--model smollm2-packaged")
