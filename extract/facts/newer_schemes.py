"""What came after multi-head latent attention: how newer models cache, as published.

Elements are counted as in :mod:`extract.facts.architectures`.  A scheme is here if a paper, a
repository or a configuration class of its authors or of the library transformers gives its sizes,
and these were read there.  Native Sparse Attention (arXiv 2502.11089), which keeps all keys and
values and pooled ones beside them, is not: of its sizes only copies by others were found.
"""

from __future__ import annotations

from dataclasses import dataclass

from extract.facts.architectures import Architecture, architecture

__all__ = [
    "NEWER_SCHEMES",
    "V4_ARITHMETIC",
    "V4_CACHE",
    "V4_CONTEXT",
    "V4_POOLING",
    "V32_CONTEXT",
    "CachedLayers",
    "NewerScheme",
]

V32_CONTEXT = 163_840
"""Tokens of the longest text of DeepSeek-V3.2: max_position_embeddings in transformers 5.24,
DeepseekV32Config."""

V4_CONTEXT = 1_000_000
"""Tokens after which DeepSeek says what DeepSeek-V4-Pro saves."""

V4_ARITHMETIC, V4_CACHE = 0.27, 0.10
"""What DeepSeek-V4-Pro computes to make one token after a million, and what it keeps of these, as
fractions of what DeepSeek-V3.2 does, as published (the introduction of its model card, of which
copies were read).  All of the arithmetic is meant, not that of attention alone."""

V4_POOLING = 4, 128
"""How many tokens become one entry in both kinds of layers of DeepSeek-V4, as its source in
:data:`NEWER_SCHEMES` says."""


@dataclass(frozen=True)
class CachedLayers:
    """Layers of a model that cache in the same way; a layer may have several such parts.

    Attributes
    ----------
    n_layers : int
    entry : int
        Elements of an entry, for keys and values together.
    index : int
        Elements that an entry adds for a sparse indexer, which reads those of all entries.
    pooling : int
        Number of tokens that one entry stands for.
    window : int, optional
        Number of last tokens that are kept; all by default.
    top_k : int, optional
        Number of entries that attention reads; all by default.
    readers : int
        Number of layers that read the same entries, each for itself.
    state : int
        Elements of a state that has the same size for any context, as in linear attention.
    """

    n_layers: int
    entry: int = 0
    index: int = 0
    pooling: int = 1
    window: int | None = None
    top_k: int | None = None
    readers: int = 1
    state: int = 0

    def entries(self, n_tokens: int) -> int:
        """Return how many entries a layer holds after some tokens."""
        kept = n_tokens if self.window is None else min(n_tokens, self.window)
        return kept // self.pooling

    def held(self, n_tokens: int) -> int:
        """Return the elements that these layers hold after some tokens."""
        return self.n_layers * (self.entries(n_tokens) * (self.entry + self.index) + self.state)

    def read(self, n_tokens: int) -> int:
        """Return the elements that these layers read to make the next token."""
        entries = self.entries(n_tokens)
        chosen = entries if self.top_k is None else min(entries, self.top_k)
        chosen *= self.readers
        return self.n_layers * (chosen * self.entry + entries * self.index + self.state)

    @property
    def growth(self) -> float:
        """Elements that each further token adds, once the windows are full."""
        per_entry = self.entry + self.index if self.window is None else 0
        return self.n_layers * per_entry / self.pooling


@dataclass(frozen=True)
class NewerScheme:
    """A scheme of caching, in a model that has it.

    Attributes
    ----------
    name : str
        The scheme's name, short enough for a label.
    model : str
        The model, or the model whose heads and layers are taken.
    year : int
    idea : str
        What is cached, in a few words.
    layers : tuple of CachedLayers
    source : str
        Where the numbers were published.
    hypothetical : bool
        True if `model` was not trained with this scheme.
    """

    name: str
    model: str
    year: int
    idea: str
    layers: tuple[CachedLayers, ...]
    source: str
    hypothetical: bool = False

    @property
    def growth(self) -> float:
        """Elements that each further token adds, once the windows are full."""
        return sum(part.growth for part in self.layers)

    @property
    def fixed(self) -> int:
        """Elements that do not grow: full windows, and states."""
        windows = (part for part in self.layers if part.window is not None)
        full = sum(part.held(part.window or 0) for part in windows)
        return full + sum(part.n_layers * part.state for part in self.layers if not part.window)

    def held(self, n_tokens: int) -> int:
        """Return the elements in the cache after some tokens."""
        return sum(part.held(n_tokens) for part in self.layers)

    def read(self, n_tokens: int) -> int:
        """Return the elements that are read to make the next token."""
        return sum(part.read(n_tokens) for part in self.layers)


def _of_architecture(arch: Architecture) -> tuple[CachedLayers, ...]:
    """Return the layers of a model with a latent and a sparse indexer."""
    if arch.latent is None or arch.indexer is None:
        raise ValueError(f"{arch.name} has no latent with a sparse indexer")
    rank, rope, index = arch.latent
    return (CachedLayers(arch.n_layers, rank + rope, index, top_k=arch.indexer.top_k),)


_V32, _R1 = architecture("DeepSeek-V3.2"), architecture("DeepSeek-V3/R1")

_V4_SOURCE = (
    "transformers 5.24, docs/source/en/model_doc/deepseek_v4.md and DeepseekV4Config; the split "
    "of the layers from public copies of the model's config.json"
)
_GLA_SOURCE = "README and code of Dao-AILab/grouped-latent-attention; arXiv 2505.21487"

NEWER_SCHEMES: tuple[NewerScheme, ...] = (
    NewerScheme(
        "DSA",
        _V32.name,
        2025,
        "MLA, and a key for an indexer that chooses 2,048 tokens",
        _of_architecture(_V32),
        _V32.source,
    ),
    NewerScheme(
        "DSA",
        "GLM (glm_moe_dsa)",
        2026,
        "MLA, and a key for an indexer that chooses 2,048 tokens",
        (CachedLayers(78, 512 + 64, 128, top_k=2048),),
        "transformers 5.24, GlmMoeDsaConfig",
    ),
    # Key and value are one vector.  Every layer also keeps its last 128 tokens as they are.
    NewerScheme(
        "CSA + HCA",
        "DeepSeek-V4-Pro",
        2026,
        "one shared key and value for 4 or for 128 tokens",
        (
            CachedLayers(30, 512, 128, pooling=V4_POOLING[0], top_k=1024),
            CachedLayers(31, 512, pooling=V4_POOLING[1]),
            CachedLayers(61, 512, window=128),
        ),
        _V4_SOURCE,
    ),
    NewerScheme(
        "CSA + HCA",
        "DeepSeek-V4-Flash",
        2026,
        "one shared key and value for 4 or for 128 tokens",
        (
            CachedLayers(21, 512, 128, pooling=V4_POOLING[0], top_k=512),
            CachedLayers(20, 512, pooling=V4_POOLING[1]),
            CachedLayers(43, 512, window=128),
        ),
        _V4_SOURCE,
    ),
    # Three layers pool two tokens, for themselves and the five layers after each; one keeps all
    # tokens, for itself and the last 19.  Four of these choose again among 16,384 entries at most,
    # and what the indexer reads for that is not counted.
    NewerScheme(
        "CSA2",
        "DeepSeek-V4.1-Flash",
        2026,
        "38 layers share the entries of 4, one for each token or for two",
        (
            CachedLayers(3, 512, 128, pooling=2, top_k=512, readers=6),
            CachedLayers(1, 512, 128, top_k=512, readers=20),
            CachedLayers(40, 512, window=128),
        ),
        "huggingface/transformers@0a2080b, DeepseekV41TextConfig, which has the released schedule",
    ),
    # The index keeps a key of each token; what is chosen are 16 blocks of 128 tokens.
    NewerScheme(
        "MSA",
        "MiniMax-M3",
        2026,
        "4 groups; an indexer chooses 2,048 tokens in 57 layers of 60",
        (
            CachedLayers(57, 2 * 4 * 128, 128, top_k=16 * 128),
            CachedLayers(3, 2 * 4 * 128),
        ),
        "transformers 5.24, MiniMaxM3VLTextConfig and MiniMaxM3VLIndexer; arXiv 2606.13392; the "
        "split of the layers from the documentation of TensorRT-LLM",
    ),
    NewerScheme(
        "KDA + MLA",
        "Kimi Linear 48B",
        2025,
        "MLA in 7 layers of 27, a state of fixed size in the others",
        (CachedLayers(7, 512 + 64), CachedLayers(20, state=32 * 128 * 128)),
        "tech_report.pdf of MoonshotAI/Kimi-Linear, arXiv 2510.26692; transformers 5.24, "
        "KimiLinearConfig; without the short convolutions",
    ),
    NewerScheme(
        "Gated DeltaNet + GQA",
        "Qwen3-Next 80B",
        2025,
        "2 groups in 12 layers of 48, a state of fixed size in the others",
        (CachedLayers(12, 2 * 2 * 256), CachedLayers(36, state=32 * 128 * 128)),
        "transformers 5.24, Qwen3NextConfig; without the short convolutions",
    ),
    NewerScheme(
        "window + GQA",
        "gpt-oss-120b",
        2025,
        "8 groups; every other layer keeps 128 tokens",
        (CachedLayers(18, 2 * 8 * 64), CachedLayers(18, 2 * 8 * 64, window=128)),
        "transformers 5.24, GptOssConfig",
    ),
    NewerScheme(
        "window + GQA",
        "gpt-oss-20b",
        2025,
        "8 groups; every other layer keeps 128 tokens",
        (CachedLayers(12, 2 * 8 * 64), CachedLayers(12, 2 * 8 * 64, window=128)),
        "transformers 5.24, GptOssConfig; the number of layers from public copies of the model's "
        "config.json",
    ),
    NewerScheme(
        "window + MQA",
        "Gemma 3 1B",
        2025,
        "5 of 6 layers keep 512 tokens",
        (CachedLayers(4, 2 * 256), CachedLayers(22, 2 * 256, window=512)),
        "transformers 5.24, Gemma3TextConfig (the pattern of six); sizes from public copies of the "
        "model's config.json",
    ),
    # The value of a head is its key, half of which is rotated and shared by all heads.
    NewerScheme(
        "GTA",
        _R1.name,
        2025,
        "keys that are values too, and one rotated half key",
        (CachedLayers(_R1.n_layers, 8 * _R1.d_head + _R1.d_head // 2),),
        f"{_GLA_SOURCE}; with 8 groups",
        hypothetical=True,
    ),
    NewerScheme(
        "GLA-2",
        _R1.name,
        2025,
        "two latents that two GPUs can share out, and the rotated key",
        (CachedLayers(_R1.n_layers, 2 * 256 + 64),),
        f"{_GLA_SOURCE}; with one rotated key, of which each GPU holds a copy",
        hypothetical=True,
    ),
    NewerScheme(
        "TPA",
        _R1.name,
        2025,
        "keys and values as sums of two products of short vectors",
        (CachedLayers(_R1.n_layers, (2 + 2) * (_R1.n_heads + _R1.d_head)),),
        "table 1 of arXiv 2501.06425, (R_K + R_V) (h + d_h) for each layer; ranks of 2 as in "
        "config/train_T6_medium_adam_80g8.py of tensorgi/TPA",
        hypothetical=True,
    ),
)
"""DeepSeek's own first, then models with other schemes, then schemes without a model of their own,
in the shape of DeepSeek-R1."""
