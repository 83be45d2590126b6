"""The numbers behind the film: run a model and record what its attention computes."""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from extract.models.token_sequence import ProgressCallback
    from extract.trace import ModelSource, Trace, TraceError, TraceMeta

__all__ = ["Trace", "TraceError", "TraceMeta", "trace"]


def __getattr__(name: str) -> Any:
    """Load a class when it is first used: programs that only print must not wait for numpy."""
    if name in __all__:
        return getattr(import_module("extract.trace"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def trace(
    model: Any,
    tokenizer: Any,
    prompt: str,
    *,
    generate: int = 4,
    continuation: str | None = None,
    bos: bool | None = None,
    layers: Sequence[int] = (),
    head: int | None = None,
    rows: tuple[int, int] | None = None,
    name: str | None = None,
    source: ModelSource | None = None,
    random_weights: bool = False,
    progress: ProgressCallback | None = None,
) -> Trace:
    """Trace one prompt with a model that is already in memory, in float32.

    The model is not changed: TransformerLens wraps a copy that shares its weights.  Torch is
    imported only when this function is called.

    Parameters
    ----------
    model : transformers.PreTrainedModel
        A decoder, for instance from ``AutoModelForCausalLM.from_pretrained``.
    tokenizer : transformers.PreTrainedTokenizerBase
        The model's own.
    prompt : str
        The pictures have room for 2 to 24 tokens; see `rows` for a longer prompt.
    generate : int
        Number of tokens to generate after the prompt, each the likeliest one.  An end-of-text token
        ends the generation and is not stored.
    continuation : str, optional
        Text that follows the prompt instead of generated tokens.
    bos : bool, optional
        Whether to prepend a beginning-of-sequence token; by default as TransformerLens does for the
        model's family.
    layers : sequence of int
        Layers whose weights are stored, counted from 0; the first one is featured.  If empty, one
        layer is chosen from the patterns.
    head : int, optional
        The featured head, counted from 0; chosen from the patterns if not given.
    rows : tuple of int, optional
        First token of the prompt that the pictures draw, and one past the last one, without the
        beginning-of-sequence token; the whole prompt if not given.
    name : str, optional
        The model's name as shown on screen; by default that of its class.
    source : ModelSource, optional
        Where the model came from; by default "memory" and the model's name.
    random_weights : bool
        Whether the model has random weights; pictures then say so.
    progress : callable, optional
        Called with the name of a task, the steps done and the number of all steps.

    Returns
    -------
    Trace
        A checked trace: every step, recomputed from the step before it, agrees with the model's.

    Raises
    ------
    UnsupportedModelError
        If the model's attention does something that a trace cannot show truthfully.
    ExtractError
        If an argument does not fit the model, or if the self-check fails.

    Examples
    --------
    >>> import extract
    >>> from extract.models import load_model
    >>> loaded = load_model("smollm2-packaged")
    >>> trace = extract.trace(
    ...     loaded.model, loaded.tokenizer, "The cat sat on the mat", name=loaded.name, layers=[13]
    ... )
    >>> trace.meta.tokens[:4]
    ('<|im_start|>', 'The', ' cat', ' sat')
    >>> trace.get("pattern", layer=13).shape  # heads, queries, keys
    (9, 11, 11)
    """
    from extract.models.capture import trace_model

    return trace_model(
        model,
        tokenizer,
        prompt,
        generate=generate,
        continuation=continuation,
        bos=bos,
        layers=layers,
        head=head,
        rows=rows,
        name=name,
        source=source,
        random_weights=random_weights,
        progress=progress,
    )


class _Package(ModuleType):
    """A package whose function `trace` keeps its name when the submodule `trace` is imported."""

    def __setattr__(self, name: str, value: object) -> None:
        if not (name == "trace" and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
