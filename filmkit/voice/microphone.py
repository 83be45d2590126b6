"""Record from a microphone, through PortAudio (the package sounddevice).

It counts the samples themselves, so it is known to which of them a key press belongs, and its
packages for macOS and Windows bring PortAudio along.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any, Self

import numpy as np

from extract.support.assets import installing
from filmkit.voice.errors import VoiceError
from filmkit.voice.sounds import RATE, Samples

__all__ = ["Microphone"]


class Microphone:
    """The default microphone; a context manager that records inside its ``with`` block.

    Raises
    ------
    VoiceError
        When there is none, or no library that records.
    """

    def __init__(self) -> None:
        self._blocks: list[Samples] = []
        try:
            self._library: Any = import_module("sounddevice")
        except ModuleNotFoundError as error:
            raise VoiceError(f"recording needs a library: {installing('voice')}") from error
        except OSError as error:
            raise VoiceError(
                "recording needs PortAudio: install it (libportaudio2 on Debian and Ubuntu), or "
                "record with another program"
            ) from error
        with self._errors():
            self._stream = self._library.InputStream(
                samplerate=RATE, channels=1, dtype="float32", callback=self._hear
            )

    def __enter__(self) -> Self:
        with self._errors():
            self._stream.start()
        return self

    def __exit__(self, *failure: object) -> None:
        self._stream.close()

    @property
    def seconds(self) -> float:
        """How much it has recorded so far."""
        return sum(map(len, self._blocks)) / RATE

    @property
    def samples(self) -> Samples:
        """What it has recorded so far."""
        return np.concatenate([np.zeros(0, np.float32), *self._blocks])

    def _hear(self, block: Any, *more: object) -> None:
        self._blocks.append(np.array(block[:, 0], np.float32))  # the block itself is used again

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (self._library.PortAudioError, ValueError) as error:
            raise VoiceError(
                f"no microphone can be used here: {error}; record with another program"
            ) from error
