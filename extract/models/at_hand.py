"""Which models can be loaded on this machine, without a download.

Needs neither torch nor transformers to answer.
"""

from __future__ import annotations

import json
from pathlib import Path

from extract.errors import ExtractError
from extract.models.loading import PACKAGED, not_installed, packaged_file

__all__ = ["models_at_hand"]

_DECODERS = ("ForCausalLM", "LMHeadModel")
"""How the classes of models that can be traced are called in the end."""

_WEIGHTS = ("*.safetensors", "*.bin")


def models_at_hand() -> list[str]:
    """Return the names of the packaged model, if it is installed, and of downloaded ones.

    They are names for :func:`extract.models.load_model`. None are found if the libraries of an
    extraction are not installed.
    """
    if not_installed():
        return []
    return [*_packaged(), *_downloaded()]


def _packaged() -> list[str]:
    try:
        packaged_file()
    except ExtractError:
        return []
    return [PACKAGED]


def _downloaded() -> list[str]:
    """Return the names of decoders of the hub whose weights are in the local cache."""
    from huggingface_hub import constants, try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    names = []
    for folder in sorted(Path(constants.HF_HUB_CACHE).glob("models--*")):
        name = folder.name.removeprefix("models--").replace("--", "/")
        try:
            file = try_to_load_from_cache(name, "config.json")
            if isinstance(file, str) and _is_decoder(Path(file)):
                names.append(name)
        except (HFValidationError, OSError, ValueError):
            continue  # not a model's folder, or not one that can be read
    return names


def _is_decoder(config: Path) -> bool:
    """Return whether a configuration is that of a decoder, and has its weights beside it."""
    settings = json.loads(config.read_text("utf-8"))
    classes = settings.get("architectures") if isinstance(settings, dict) else None
    decodes = isinstance(classes, list) and any(str(name).endswith(_DECODERS) for name in classes)
    return decodes and any(any(config.parent.glob(kind)) for kind in _WEIGHTS)
