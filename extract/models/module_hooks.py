"""Record what the attention layers of a transformers model compute, from the modules themselves.

TransformerLens does not show every step of every family: the norm of queries and keys, for
instance.  Almost all families of transformers hand queries, keys and values, as used in the scores,
to one function that they look up by name; `record` stands in for it, and listens at the projections
and norms of each attention module.  The model's own eager function does the computing.

Needs torch.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from extract.errors import UnsupportedModelError

__all__ = [
    "AttentionCall",
    "ModuleRecord",
    "attention_modules",
    "hidden_states",
    "layer_inputs",
    "record",
]

_EAGER = "eager"


@dataclass(frozen=True)
class AttentionCall:
    """One call of the function that computes attention, without the batch axis.

    Attributes
    ----------
    q : [n_heads, pos, d_qk]
    k : [n_kv_heads, pos, d_qk]
        As used in the scores.
    v : [n_kv_heads, pos, d_v]
    allowed : [query_pos, key_pos] of bool, or None
        Which keys a query sees; None where the function has no mask.
    pattern : [n_heads, query_pos, key_pos]
    z : [pos, n_heads, d_v]
    options : mapping
        What else the model says: "scaling", "softcap" ...
    """

    q: torch.Tensor
    k: torch.Tensor
    v: torch.Tensor
    allowed: torch.Tensor | None
    pattern: torch.Tensor
    z: torch.Tensor
    options: Mapping[str, Any]


@dataclass
class ModuleRecord:
    """What one attention module took and gave in a forward pass, without the batch axis.

    Attributes
    ----------
    module : torch.nn.Module
    x, out : [pos, d_model]
        Its input and its output.
    positions
        What the model gave it to rotate queries and keys by: two tables, or one of complex numbers.
    inputs, outputs : dict of str to tensor
        Of its projections and norms, by their names in the module.
    calls : list of AttentionCall
    """

    module: Any
    x: torch.Tensor | None = None
    out: torch.Tensor | None = None
    positions: Any = None
    inputs: dict[str, torch.Tensor] = field(default_factory=dict)
    outputs: dict[str, torch.Tensor] = field(default_factory=dict)
    calls: list[AttentionCall] = field(default_factory=list)


def attention_modules(model: Any) -> list[Any]:
    """Return the attention modules of a decoder, one for each layer, in order.

    Raises
    ------
    UnsupportedModelError
        If the model has none.
    """
    found = [
        module
        for path, module in model.named_modules()
        if type(module).__name__.endswith("Attention") and "vision" not in path.lower()
    ]
    inner = {id(child) for module in found for child in module.modules() if child is not module}
    modules = [module for module in found if id(module) not in inner]
    if not modules:
        raise UnsupportedModelError("it has no attention layers")
    return modules


def record(model: Any, ids: Sequence[int]) -> tuple[torch.Tensor, list[ModuleRecord]]:
    """Run a model once and record its attention modules.

    Parameters
    ----------
    model : transformers.PreTrainedModel
        In evaluation mode.  Is set to eager attention, which alone returns patterns.
    ids : sequence of int

    Returns
    -------
    logits : [pos, vocabulary]
    records : list of ModuleRecord
        One for each layer.

    Raises
    ------
    UnsupportedModelError
        If a layer does not compute its attention in the function that is recorded.
    """
    model.set_attn_implementation(_EAGER)
    records = [ModuleRecord(module) for module in attention_modules(model)]
    by_module = {id(entry.module): entry for entry in records}
    with ExitStack() as hooks:
        for entry in records:
            _listen(entry, hooks)
        hooks.enter_context(_standing_in(by_module))
        with torch.inference_mode():
            tokens = torch.tensor([list(ids)], device=model.device)
            logits = model(input_ids=tokens, use_cache=False).logits[0]
    for layer, entry in enumerate(records):
        if len(entry.calls) != 1 or entry.x is None:
            raise UnsupportedModelError(
                f"layer {layer} does not compute its attention where transformers lets it be seen"
            )
    return logits.float().cpu(), records


def layer_inputs(model: Any, tokens: torch.Tensor) -> list[torch.Tensor]:
    """Return the inputs of every layer's attention.

    Parameters
    ----------
    model : transformers.PreTrainedModel
        In evaluation mode.
    tokens : [batch, pos]

    Returns
    -------
    list of [batch, pos, d_model]
    """
    found: list[torch.Tensor] = []

    def see(module: Any, arguments: tuple[Any, ...], options: dict[str, Any]) -> None:
        found.append(hidden_states(arguments, options))

    with ExitStack() as hooks, torch.inference_mode():
        for module in attention_modules(model):
            handle = module.register_forward_pre_hook(see, with_kwargs=True)
            hooks.callback(handle.remove)
        model(input_ids=tokens, use_cache=False)
    return found


@contextmanager
def _standing_in(by_module: Mapping[int, ModuleRecord]) -> Iterator[None]:
    """Record calls of the attention function; `by_module` has records by their modules' ids."""

    def attention(module: Any, q: Any, k: Any, v: Any, mask: Any, **options: Any) -> Any:
        own: Callable[..., Any] = vars(sys.modules[type(module).__module__])[
            "eager_attention_forward"
        ]
        z, pattern = own(module, q, k, v, mask, **options)
        entry = by_module.get(id(module))
        if entry is not None and pattern is not None:
            entry.calls.append(
                AttentionCall(q[0], k[0], v[0], _allowed(mask), pattern[0], z[0], options)
            )
        return z, pattern

    functions: Any = ALL_ATTENTION_FUNCTIONS
    if _EAGER in functions:
        raise UnsupportedModelError("another program already stands in for eager attention")
    functions.register(_EAGER, attention)
    try:
        yield
    finally:
        # The class holds what is registered, so that all instances see it.
        del type(functions)._global_mapping[_EAGER]


def _allowed(mask: torch.Tensor | None) -> torch.Tensor | None:
    """Return which keys a query sees from a mask [1, 1, query_pos, key_pos] to be added."""
    if mask is None:
        return None
    plane = mask[0, 0]
    return plane if plane.dtype == torch.bool else plane == 0


def hidden_states(arguments: tuple[Any, ...], options: Mapping[str, Any]) -> torch.Tensor:
    """Return the input of a layer or its attention from the arguments of a call."""
    given: torch.Tensor = options["hidden_states"] if "hidden_states" in options else arguments[0]
    return given


def _listen(entry: ModuleRecord, hooks: ExitStack) -> None:
    """Record what a module and its children take and give, until the stack is closed."""

    def before(module: Any, arguments: tuple[Any, ...], options: dict[str, Any]) -> None:
        entry.x = hidden_states(arguments, options)[0]
        entry.positions = options.get("position_embeddings")
        if entry.positions is None:
            entry.positions = next(
                (argument for argument in arguments[1:] if _is_table(argument)), None
            )

    def after(name: str) -> Callable[[Any, Any, Any], None]:
        def store(child: Any, arguments: tuple[Any, ...], output: Any) -> None:
            if arguments and isinstance(output, torch.Tensor):
                entry.inputs[name], entry.outputs[name] = arguments[0][0], output[0]

        return store

    def whole(module: Any, arguments: tuple[Any, ...], output: Any) -> None:
        entry.out = (output[0] if isinstance(output, tuple) else output)[0]

    hooks.callback(entry.module.register_forward_pre_hook(before, with_kwargs=True).remove)
    hooks.callback(entry.module.register_forward_hook(whole).remove)
    for name, child in entry.module.named_children():
        hooks.callback(child.register_forward_hook(after(name)).remove)


def _is_table(argument: Any) -> bool:
    """Return whether an argument holds tables of a rotation: a pair, or complex numbers."""
    if isinstance(argument, tuple):
        return len(argument) == 2 and all(isinstance(part, torch.Tensor) for part in argument)
    return isinstance(argument, torch.Tensor) and argument.is_complex()
