"""The large model and the GPU that scenes speak of, and the note over pictures of their sizes."""

from __future__ import annotations

from collections.abc import Sequence

from extract.facts.architectures import architecture
from extract.facts.gpus import H100_SXM
from filmkit.core.language import _
from filmkit.core.numbers import listed

__all__ = ["CHIP", "CHIP_NAME", "LARGE", "LARGE_NAME", "published_notes"]

LARGE, LARGE_NAME = architecture("DeepSeek-V3/R1"), "DeepSeek-R1"
CHIP, CHIP_NAME = H100_SXM, "NVIDIA H100"


def published_notes(names: Sequence[str]) -> tuple[str, str]:
    """Return the notes at the top of a picture of published models or GPUs, by their names.

    They are those of :meth:`filmkit.core.stage.Stage.provenance_notes`.
    """
    models = listed(names)
    return _("published sizes of {models}  ·  not the traced model", models=models), ""
