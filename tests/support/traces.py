"""Small synthetic traces for tests: a forward pass of attention in numpy with random weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from extract.attention.head_norm import HeadNorm
from extract.trace import SCHEMA, TOP_TOKENS, Featured, ModelSource, Trace, TraceMeta
from extract.trace.contents.byte_tokens import whole_text

WORDS = (
    "The",
    " American",
    " flag",
    " is",
    " red",
    ",",
    " white",
    ",",
    " and",
    " blue",
    " with",
    " a",
)
BOS = "<|endoftext|>"

NORM_EPS = 1e-6  # of the norms on the latents of MLA


def make_trace(
    n_tokens: int = 9,
    n_heads: int = 4,
    n_kv_heads: int | None = None,
    d_head: int = 8,
    n_layers: int = 2,
    positions: str = "learned",
    *,
    words: Sequence[str] | None = None,
    n_generated: int = 0,
    has_bos: bool = True,
    rotary_dim: int | None = None,
    rotary_style: str = "half",
    biases: bool = False,
    mla: bool = False,
    weights_of: Sequence[int] = (),
    featured: tuple[int, int] | None = None,
    d_model: int | None = None,
    d_v: int | None = None,
    qk_norm: HeadNorm | None = None,
    window: int = 0,
    score_cap: float = 0.0,
    sinks: bool = False,
    seed: int = 0,
) -> Trace:
    """Return a valid trace with random weights; each stage is computed from the one before.

    Parameters
    ----------
    n_tokens : int
        Number of tokens of the prompt, without the beginning-of-sequence token.
    n_heads, n_kv_heads, d_head, n_layers, d_model : int
        ``n_kv_heads`` is ``n_heads`` if not given (ignored for MLA); ``d_model`` is ``n_heads *
        d_head``.
    positions : str
        "learned", "rotary", "alibi" or "none".  MLA needs "rotary".
    words : sequence of str, optional
        All tokens after the beginning-of-sequence one, generated ones included.
    n_generated : int
        Number of tokens after the prompt.
    has_bos : bool
        Put a beginning-of-sequence token at position 0.
    rotary_dim : int, optional
        By default the whole head, or half of it for MLA.
    rotary_style : str
        "half" or "interleaved".
    biases : bool
        Give the layers biases.
    mla : bool
        Make layers that cache a latent of ``2 * d_head`` channels and one shared rotated key part.
    weights_of : sequence of int
        Layers whose weights are stored besides the featured one.
    featured : tuple of int, optional
        Layer and head; the last of each if not given.
    d_v : int, optional
        Width of the values; ``d_head`` if not given.
    qk_norm : HeadNorm, optional
        Normalise queries and keys after their projection.
    window : int
        Every second layer, beginning with the last one, lets a query see this many keys at most; 0
        for all.
    score_cap : float
        Squeeze the scores between minus and plus this number; 0 for not.
    sinks : bool
        Give every softmax a key more that is no token.
    seed : int
    """
    rng = np.random.default_rng(seed)
    n_kv_heads = n_heads if n_kv_heads is None or mla else n_kv_heads
    d_model = d_model or n_heads * d_head
    if positions != "rotary":
        rotary_dim, rotary_style = 0, ""
    elif rotary_dim is None:
        rotary_dim = d_head // 2 if mla else d_head
    layer, head = featured or (n_layers - 1, n_heads - 1)

    total = n_tokens + n_generated
    texts = list(words) if words is not None else [WORDS[i % len(WORDS)] for i in range(total)]
    if len(texts) != total:
        raise ValueError(f"{len(texts)} words for {total} tokens")
    tokens = [BOS, *texts] if has_bos else texts
    pos = len(tokens)

    steps = (d_v or d_head, qk_norm, score_cap, sinks)
    whole = _Shape(
        *(d_model, n_heads, n_kv_heads, d_head, rotary_dim, rotary_style, positions, mla), *steps
    )
    windows = tuple(window * ((n_layers - 1 - index) % 2 == 0) for index in range(n_layers))
    tensors: dict[str, np.ndarray] = {}
    for index in range(n_layers):
        shape = replace(whole, window=windows[index])
        x = rng.normal(size=(pos, d_model))
        weights = _random_weights(rng, shape, biases)
        tensors |= {f"{name}.{index}": array for name, array in _attend(x, weights, shape).items()}
        if index == layer or index in weights_of:
            tensors |= {f"{name}.{index}": array for name, array in weights.items()}
    if positions == "alibi":
        tensors["alibi_slopes"] = _slopes(n_heads)
    if positions == "rotary":
        angles = _angles(pos, whole)
        tensors |= {"rope_cos": np.cos(angles), "rope_sin": np.sin(angles)}
    vocabulary = sorted(set(tokens)) + [f" word{i}" for i in range(TOP_TOKENS)]
    probs = np.sort(rng.dirichlet(np.ones(len(vocabulary)), size=pos))[:, : -TOP_TOKENS - 1 : -1]
    top_ids = np.stack([rng.permutation(len(vocabulary))[:TOP_TOKENS] for _ in range(pos)])
    for index in range(n_tokens + has_bos, pos):
        _put_first(top_ids[index - 1], vocabulary.index(tokens[index]))
    tensors = {
        name: np.ascontiguousarray(array, dtype=np.float32) for name, array in tensors.items()
    }
    tensors |= {"top_ids": top_ids.astype(np.int32), "top_probs": probs.astype(np.float32)}

    meta = TraceMeta(
        schema=SCHEMA,
        model="made-up model",
        source=ModelSource("synthetic", "made-up"),
        attention=_attention_kind(n_heads, n_kv_heads, mla),
        positions=positions,
        n_layers=n_layers,
        n_heads=n_heads,
        n_kv_heads=n_kv_heads,
        d_model=d_model,
        d_qk=d_head,
        d_v=whole.d_v,
        rotary_dim=rotary_dim,
        rotary_style=rotary_style,
        score_scale=d_head**-0.5,
        prompt=whole_text(texts[:n_tokens]),
        tokens=tuple(tokens),
        token_ids=tuple(vocabulary.index(token) for token in tokens),
        n_prompt=n_tokens + has_bos,
        has_bos=has_bos,
        featured=Featured(layer, head),
        featured_criterion="given",
        continued=False,
        random_weights=True,
        versions={"numpy": np.__version__},
        self_check={},
        top_tokens=tuple(tuple(vocabulary[token] for token in row) for row in top_ids),
        norm_eps=NORM_EPS if mla else 0.0,
        qk_norm=qk_norm,
        windows=windows if window else (),
        score_cap=score_cap,
        sinks=sinks,
    )
    trace = Trace(meta, tensors)
    trace.validate()
    return trace


def _put_first(ids: np.ndarray, token: int) -> None:
    """Make a token the likeliest one of a row, as it is where a model generates it."""
    ids[np.flatnonzero(ids == token)] = ids[0]
    ids[0] = token


@dataclass(frozen=True)
class _Shape:
    """Dimensions and kind of one attention layer."""

    d_model: int
    n_heads: int
    n_kv_heads: int
    d_head: int
    rotary_dim: int
    rotary_style: str
    positions: str
    mla: bool
    d_v: int
    qk_norm: HeadNorm | None
    score_cap: float
    sinks: bool
    window: int = 0


def _attention_kind(n_heads: int, n_kv_heads: int, mla: bool) -> str:
    if mla:
        return "mla"
    if n_kv_heads == n_heads:
        return "mha"
    return "mqa" if n_kv_heads == 1 else "gqa"


def _random_weights(rng: np.random.Generator, shape: _Shape, biases: bool) -> dict[str, np.ndarray]:
    """Draw one layer's weights, scaled so that scores are of the order of 1."""
    d, h, g, c, r = shape.d_model, shape.n_heads, shape.n_kv_heads, shape.d_head, 2 * shape.d_head
    if shape.mla:
        sizes: dict[str, tuple[int, ...]] = {
            "W_Q": (d, h, c),
            "W_DKV": (d, r),
            "W_KR": (d, shape.rotary_dim),
            "W_UK": (r, h, c - shape.rotary_dim),
            "W_UV": (r, h, shape.d_v),
        }
    else:
        sizes = {"W_Q": (d, h, c), "W_K": (d, g, c), "W_V": (d, g, shape.d_v)}
    weights = {name: rng.normal(size=size) * size[0] ** -0.5 * 1.5 for name, size in sizes.items()}
    weights["W_O"] = rng.normal(size=(h, shape.d_v, d)) * (h * shape.d_v) ** -0.5
    if shape.mla:
        weights["g_KV"] = rng.uniform(0.5, 1.5, size=r)
    elif biases:
        weights |= {
            "b_Q": rng.normal(size=(h, c)),
            "b_K": rng.normal(size=(g, c)),
            "b_V": rng.normal(size=(g, shape.d_v)),
        }
        weights["b_O"] = rng.normal(size=d)
    return weights


def _attend(x: np.ndarray, weights: dict[str, np.ndarray], shape: _Shape) -> dict[str, np.ndarray]:
    """Compute one layer's activations from its input [pos, d_model]."""
    pos = len(x)
    group = shape.n_heads // shape.n_kv_heads
    activations: dict[str, np.ndarray] = {"x": x}
    q = np.einsum("pd,dhc->phc", x, weights["W_Q"]) + weights.get("b_Q", 0)
    if shape.mla:
        latent = x @ weights["W_DKV"]
        latent = latent / np.sqrt((latent**2).mean(axis=-1, keepdims=True) + NORM_EPS)
        latent = latent * weights["g_KV"]
        shared = np.repeat((x @ weights["W_KR"])[:, None], shape.n_heads, axis=1)
        k = np.concatenate([np.einsum("pr,rhc->phc", latent, weights["W_UK"]), shared], axis=-1)
        v = np.einsum("pr,rhc->phc", latent, weights["W_UV"])
    else:
        k = np.einsum("pd,dhc->phc", x, weights["W_K"]) + weights.get("b_K", 0)
        v = np.einsum("pd,dhc->phc", x, weights["W_V"]) + weights.get("b_V", 0)
    q_used, k_used = q, k
    if shape.qk_norm is not None:
        for name, heads in (("q", q), ("k", k)):
            gain = 1 + 0.2 * np.cos(np.arange(heads[0].size)).reshape(heads.shape[1:])
            activations |= {
                f"g_{name}_norm": gain,
                f"{name}_norm": _normalised(heads, shape.qk_norm) * gain,
            }
        q_used, k_used = activations["q_norm"], activations["k_norm"]
    if shape.positions == "rotary":
        q_used, k_used = _rotate(q_used, shape), _rotate(k_used, shape)
        activations |= {"q_rot": q_used, "k_rot": k_used}
    if shape.mla:
        activations |= {"kv_latent": latent, "k_rope": k_used[:, 0, -shape.rotary_dim :]}
    scores = (
        np.einsum("qhc,khc->hqk", q_used, np.repeat(k_used, group, axis=1)) * shape.d_head**-0.5
    )
    if shape.positions == "alibi":
        distance = np.arange(pos)[None, :] - np.arange(pos)[:, None]
        scores += _slopes(shape.n_heads)[:, None, None] * distance
    if shape.score_cap:
        scores = shape.score_cap * np.tanh(scores / shape.score_cap)
    scores[:, np.triu(np.ones((pos, pos), dtype=bool), k=1)] = -np.inf
    if shape.window:
        scores[:, np.tril(np.ones((pos, pos), dtype=bool), k=-shape.window)] = -np.inf
    pattern = np.exp(scores - scores.max(axis=-1, keepdims=True))
    total = pattern.sum(axis=-1, keepdims=True)
    if shape.sinks:
        activations["sinks"] = np.linspace(-1, 1, shape.n_heads)
        total += np.exp(activations["sinks"][:, None, None] - scores.max(axis=-1, keepdims=True))
    pattern /= total
    z = np.einsum("hqk,khc->qhc", pattern, np.repeat(v, group, axis=1))
    out = np.einsum("phc,hcd->pd", z, weights["W_O"]) + weights.get("b_O", 0)
    return activations | {"q": q, "k": k, "v": v, "pattern": pattern, "z": z, "out": out}


def _normalised(heads: np.ndarray, norm: HeadNorm) -> np.ndarray:
    """Normalise [pos, head, d_head] without a gain."""
    flat = heads if norm.span == "head" else heads.reshape(len(heads), -1)
    if norm.kind == "layer":
        flat = flat - flat.mean(axis=-1, keepdims=True)
    size = np.sqrt((flat**2).mean(axis=-1, keepdims=True) + norm.eps)
    normalised: np.ndarray = (flat / size).reshape(heads.shape)
    return normalised


def _slopes(n_heads: int) -> np.ndarray:
    """Return the position slopes of an "alibi" model, [n_heads]."""
    return 2.0 ** (-8 * (np.arange(n_heads) + 1) / n_heads)


def _rotate(heads: np.ndarray, shape: _Shape) -> np.ndarray:
    """Rotate the rotary channels of [pos, head, d_head] by the angles of their position."""
    dim = shape.rotary_dim
    start = shape.d_head - dim if shape.mla else 0
    angle = _angles(len(heads), shape)
    cos, sin = np.cos(angle)[:, None], np.sin(angle)[:, None]
    if shape.rotary_style == "half":
        first, second = np.arange(dim // 2), np.arange(dim // 2) + dim // 2
    else:
        first, second = np.arange(0, dim, 2), np.arange(1, dim, 2)
    a, b = heads[..., start + first], heads[..., start + second]
    rotated = heads.copy()
    rotated[..., start + first] = a * cos - b * sin
    rotated[..., start + second] = b * cos + a * sin
    return rotated


def _angles(pos: int, shape: _Shape) -> np.ndarray:
    """Return the angle of each position and pair of channels, [pos, rotary_dim / 2]."""
    frequency = 10000.0 ** (-np.arange(shape.rotary_dim // 2) * 2 / shape.rotary_dim)
    return np.arange(pos)[:, None] * frequency


def replaced(trace: Trace, tensors: dict[str, Any] | None = None, **meta: Any) -> Trace:
    """Return a copy with changed metadata or tensors, not validated; None removes a tensor."""
    changed = {
        name: array
        for name, array in {**trace.tensors, **(tensors or {})}.items()
        if array is not None
    }
    return Trace(replace(trace.meta, **meta), changed)


def with_pattern(trace: Trace, layer: int, pattern: np.ndarray) -> Trace:
    """Return a trace whose layer attends by another pattern, with all stages to match.

    Parameters
    ----------
    trace : Trace
        Multi-head, without rotation or position biases; heads at least as wide as there are tokens.
    layer : int
    pattern : array
        [n_heads, query_pos, key_pos].
    """
    meta, pos = trace.meta, len(trace.meta.tokens)
    # Each key has a channel of its own, so a query holds the scores that it shall have.
    q = np.zeros((pos, meta.n_heads, meta.d_qk))
    q[..., :pos] = np.log(np.maximum(pattern, 1e-30)).transpose(1, 0, 2) / meta.score_scale
    k = np.broadcast_to(np.eye(pos, meta.d_qk)[:, None], q.shape)
    z = np.einsum("hqk,khc->qhc", pattern, trace.get("v", layer))
    changed = {"q": q, "k": k, "pattern": pattern, "z": z}
    if trace.has("W_O", layer):
        inverse = np.linalg.pinv(trace.get("x", layer).astype(np.float64))
        changed |= {f"W_{n.upper()}": np.tensordot(inverse, changed[n], 1) for n in ("q", "k")}
        changed["out"] = np.tensordot(z, trace.get("W_O", layer), 2)
    return replaced(
        trace,
        {f"{name}.{layer}": array.astype(np.float32) for name, array in changed.items()},
    )
