"""Random rotary attention layers and Llama-like models to convert."""

from __future__ import annotations

from typing import Any

import torch
import transformers as hf

import extract
from extract.conversion.fits import AttentionLayer, LayerStatistics
from extract.models.loading import DEFAULT_PROMPT, LoadedModel
from extract.trace import Trace
from extract.trace.contents.meta import ModelSource
from tests.support.extract_models import SIZES, TOKENIZER, VOCABULARY

D_MODEL, WIDTH, N_POSITIONS = 40, 8, 24
SHAPES = [(4, 4), (4, 2), (6, 3), (4, 1)]
"""Numbers of query heads and of key/value heads."""


def random_layer(
    n_heads: int, n_kv_heads: int, seed: int = 0, biased: bool = True
) -> AttentionLayer:
    """Return a layer with random float64 weights of the sizes above."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    bias = 0.5 * biased
    return AttentionLayer(
        W_Q=draw(D_MODEL, n_heads, WIDTH) / 3,
        W_K=draw(D_MODEL, n_kv_heads, WIDTH) / 3,
        W_V=draw(D_MODEL, n_kv_heads, WIDTH) / 3,
        W_O=draw(n_heads, WIDTH, D_MODEL) / 3,
        b_Q=bias * draw(n_heads, WIDTH),
        b_K=bias * draw(n_kv_heads, WIDTH),
        b_V=bias * draw(n_kv_heads, WIDTH),
        b_O=bias * draw(D_MODEL),
        frequencies=100.0 ** -(torch.arange(WIDTH // 2, dtype=torch.float64) / (WIDTH // 2)),
        scale=WIDTH**-0.5,
    )


def random_inputs(seed: int = 1, batch: int = 2) -> torch.Tensor:
    """Return inputs of uneven directions with a mean, (batch, position, d_model)."""
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.randn(D_MODEL, D_MODEL, generator=generator, dtype=torch.float64)
    x = torch.randn(batch, N_POSITIONS, D_MODEL, generator=generator, dtype=torch.float64)
    mean = torch.randn(D_MODEL, generator=generator, dtype=torch.float64)
    return x @ (mixing * torch.logspace(0, -1.5, D_MODEL, dtype=torch.float64)) + mean


def statistics_of(layer: AttentionLayer, x: torch.Tensor) -> LayerStatistics:
    """Return the plain statistics of inputs, all tokens and distances alike."""
    flat = x.flatten(0, 1)
    q = torch.einsum("pc,chd->phd", flat, layer.W_Q) + layer.b_Q
    squares = q.square().mean(dim=0)
    return LayerStatistics(
        gram=flat.T @ flat / len(flat),
        mean=flat.mean(dim=0),
        query_energy=squares[:, : WIDTH // 2] + squares[:, WIDTH // 2 :],
        distances=torch.full((N_POSITIONS,), 1 / N_POSITIONS, dtype=torch.float64),
    )


def tiny_llama(kind: str = "Llama", **changes: Any) -> Any:
    """Return a random model whose attention is not uniform; `kind` is a family of transformers."""
    torch.manual_seed(0)
    sizes = SIZES | VOCABULARY | {"max_position_embeddings": 64} | changes
    config = getattr(hf, f"{kind}Config")(**sizes)
    model = getattr(hf, f"{kind}ForCausalLM")(config).eval()
    for parameter in model.parameters():
        if parameter.ndim == 2:
            parameter.data *= 4
    return model


def loaded(model: Any) -> LoadedModel:
    """Return a model with the tests' tokenizer, as `extract.models` would load it."""
    return LoadedModel(model, TOKENIZER, "tiny", ModelSource("memory", "tiny"))


def traced(model: Any, bos: bool = True) -> Trace:
    """Return the trace of a model on the default prompt."""
    return extract.trace(model, TOKENIZER, DEFAULT_PROMPT, bos=bos)
