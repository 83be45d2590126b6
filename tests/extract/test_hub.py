"""Downloads, by the hub's own protocol, from a stand-in on this machine."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from extract.models import _reason
from extract.trace import Trace
from tests.support.checkout import PROJECT as ROOT
from tests.support.hub import COMMIT, StandInHub

pytest.importorskip("torch")
pytest.importorskip("transformer_lens")

NAME = "tiny-gpt2"
WEIGHTS = "model.safetensors"
# The client keeps what it has received in steps of 10 MiB.
STEP = 10 * 2**20
LOADED = 12 * 2**20

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random GPT-2 that is mostly a long table of positions, so that it fills a download."""
    from transformers import GPT2Config, GPT2LMHeadModel

    from tests.support.extract_models import GPT_SIZES, TOKENIZER, tiny_model

    place = tmp_path_factory.mktemp("hub") / NAME
    sizes = GPT_SIZES | {"n_embd": 64, "n_positions": 50_000}
    tiny_model(lambda: GPT2LMHeadModel(GPT2Config(**sizes))).save_pretrained(place)
    TOKENIZER.save_pretrained(place)
    assert (place / WEIGHTS).stat().st_size > LOADED
    return place


@pytest.fixture
def hub(folder: Path) -> Iterator[StandInHub]:
    with StandInHub(folder, NAME).running() as running:
        yield running


@pytest.fixture
def run(hub: StandInHub, tmp_path: Path) -> Run:
    """Extract in a process of its own, with an empty cache, from the stand-in."""

    def run(
        model: str = NAME, largest_file: int | None = None, **settings: str
    ) -> subprocess.CompletedProcess[str]:
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith("HF_")
        }
        environment |= {
            "HF_ENDPOINT": hub.url,
            "HF_HOME": str(tmp_path / "cache"),
            "HF_HUB_DOWNLOAD_TIMEOUT": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            # The client's own setting to draw its bars even where nobody looks.
            "TQDM_POSITION": "-1",
        }

        out = tmp_path / "out.st"

        def limit() -> None:
            if largest_file is not None:
                resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))

        return subprocess.run(
            [sys.executable, "-m", "extract", "--no-latent", "--model", model, "--out", out],
            cwd=ROOT,
            env=environment | settings,
            preexec_fn=limit,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def failure(result: subprocess.CompletedProcess[str]) -> str:
    """Return the one line of a failure, apart from the bars of what was being done."""
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    lines = [line for line in result.stderr.splitlines() if "Error" in line]
    assert len(lines) == 1, result.stderr
    assert lines[0] == result.stderr.splitlines()[-1]
    return lines[0]


def left_behind(tmp_path: Path) -> list[str]:
    """Return what is no finished file: half downloads and half traces."""
    endings = (".incomplete", ".part", ".st")
    return [path.name for path in tmp_path.rglob("*") if path.name.endswith(endings)]


def test_a_model_is_downloaded_once_and_then_needs_no_network(
    run: Run, hub: StandInHub, tmp_path: Path
) -> None:
    first = run()
    assert first.returncode == 0, first.stderr
    assert WEIGHTS in first.stderr, "a download has a progress bar"
    trace = Trace.load(tmp_path / "out.st")
    source = trace.meta.source
    assert (source.kind, source.name, source.revision) == ("hub", NAME, COMMIT)
    assert hub.downloads(WEIGHTS) == [None]

    asked = len(hub.requests)
    second = run(HF_HUB_OFFLINE="1")
    assert second.returncode == 0, second.stderr
    assert len(hub.requests) == asked
    assert Trace.load(tmp_path / "out.st").meta == trace.meta


def test_a_connection_that_is_cut_is_resumed(run: Run, hub: StandInHub, tmp_path: Path) -> None:
    hub.cut[WEIGHTS] = LOADED
    result = run()
    assert result.returncode == 0, result.stderr
    assert hub.downloads(WEIGHTS) == [None, f"bytes={STEP}-"]
    assert not hub.cut
    assert max(Trace.load(tmp_path / "out.st").meta.self_check.values()) < 1e-5


def test_a_model_that_the_hub_does_not_have(run: Run, tmp_path: Path) -> None:
    message = failure(run("no-such-model"))
    assert message.startswith("Error: no-such-model: there is no such model on the hub, and no")
    assert not left_behind(tmp_path)


def test_a_model_that_is_not_downloaded_yet_while_offline(run: Run, hub: StandInHub) -> None:
    message = failure(run(HF_HUB_OFFLINE="1"))
    assert message.startswith(f"Error: {NAME}: it is not downloaded yet, and HF_HUB_OFFLINE is set")
    assert not hub.requests


def test_a_hub_that_stops_answering(run: Run, hub: StandInHub, tmp_path: Path) -> None:
    hub.stall.add(WEIGHTS)
    assert failure(run()) == f"Error: {NAME}: the hub does not answer in time; run again"
    assert not left_behind(tmp_path)


def test_a_disk_without_room(run: Run, tmp_path: Path) -> None:
    message = failure(run(largest_file=2**20))
    assert message == (
        f"Error: {NAME}: there is no room for it on the disk; free some (see HF_HOME) and run again"
    )
    assert not left_behind(tmp_path)
    assert run().returncode == 0


def test_reasons_that_are_hard_to_stage() -> None:
    class GatedRepoError(OSError):
        pass

    class ConnectError(ConnectionError):
        pass

    outer = OSError("long\nexplanation")
    outer.__cause__ = GatedRepoError("401")
    assert _reason(outer).startswith("this model asks for permission")
    outer.__cause__ = ConnectError("refused")
    assert _reason(outer) == "the connection to the hub fails; run again"
