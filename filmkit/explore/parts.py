"""What the parts of the page are made of: numbers of the trace, and published ones.

Each part is a file of its own, which the page loads when that part comes into view. The page
computes with these numbers as :mod:`extract.attention.arithmetic` does: see
``templates/arithmetic.js``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from extract.facts.architectures import ARCHITECTURES, architecture
from extract.facts.gpus import GPUS, H100_SXM
from extract.recompute.sharing import groups_for
from extract.trace import Trace
from extract.trace.contents.latents import fitted_latent
from filmkit.core.norm import Norm
from filmkit.core.theme import current_theme
from filmkit.core.view import LayerView
from filmkit.decks.live import LivePictures, is_converted
from filmkit.pictures.latent_view import LatentView

__all__ = ["NUMBERS", "PARTS", "Part", "norms_of", "sets_of"]


@dataclass(frozen=True)
class Part:
    """A part of the page.

    Attributes
    ----------
    name
        Its name in the page.
    scene
        The scene of the film that asks its question and answers it; "" if it asks none.
    question, answer
        The beats that are asked and answered there.
    premise
        Beats before that question, without which it cannot be understood.
    waits
        The part whose answer it tells, and for which it waits therefore; "" if it tells none.
    needs
        Names of the files with its numbers; see :data:`NUMBERS`.
    fits
        Returns whether the trace of a view has what it shows.
    """

    name: str
    scene: str = ""
    question: str = ""
    answer: str = ""
    premise: tuple[str, ...] = ()
    waits: str = ""
    needs: tuple[str, ...] = ()
    fits: Callable[[LayerView], bool] = lambda view: True


def layer_numbers(live: LivePictures) -> dict[str, Any]:
    """Return what the attention of a layer is computed from, at all positions of the prompt.

    ``q`` (position, head, channel), ``k`` and ``v`` (position, key/value head, channel) as used in
    the scores; ``bias`` (head, query, key) and ``sinks`` (head,) only if the model has them.
    """
    view = live.view
    trace, layer, meta = view.trace, view.layer, view.trace.meta
    prompt = slice(0, meta.n_prompt)
    bias = trace.position_bias(layer)[:, prompt, prompt]
    tensors = {
        "q": trace.queries(layer)[prompt],
        "k": trace.keys(layer)[prompt],
        "v": trace.get("v", layer)[prompt],
        "bias": bias if bias.any() else None,
        "sinks": trace.get("sinks", layer) if meta.sinks else None,
    }
    return {
        "scale": meta.score_scale,
        "cap": meta.score_cap,
        "window": trace.window(layer),
        "tensors": _stored(live, tensors),
    }


def latent_numbers(live: LivePictures) -> dict[str, Any]:
    """Return the latent that was fitted to a layer, at all positions of the prompt.

    ``latent`` (position, rank), the most important channels first; ``W_UK`` (rank, key/value head,
    channel); for a model that rotates keys ``cos`` and ``sin`` (position, pair) and the two
    channels of each pair; ``k`` (position, key/value head, channel) before its rotation, if keys
    have a bias: the latent is fitted to what differs from key to key.
    """
    trace, layer = live.view.trace, live.view.layer
    fitted, prompt = fitted_latent(trace, layer), slice(0, trace.meta.n_prompt)
    tensors = {
        "latent": fitted.kv_latent[prompt],
        "W_UK": fitted.layer.W_UK,
    }
    if trace.has("b_K", layer):
        tensors["k"] = trace.get(trace.unrotated("k"), layer)[prompt]
    pairs = []
    if trace.rotates:
        rotation = trace.rotation(layer)
        tensors |= {"cos": rotation.cos[prompt], "sin": rotation.sin[prompt]}
        pairs = rotation.pairs.tolist()
    return {
        "first": int(trace.meta.has_bos),
        "pairs": pairs,
        "tensors": _stored(live, tensors),
    }


def _stored(live: LivePictures, tensors: Mapping[str, npt.NDArray[Any] | None]) -> dict[str, Any]:
    """Store the tensors that there are; return the number and the shape of each by its name."""
    return {
        name: {"array": live.arrays.add(values), "shape": values.shape}
        for name, values in tensors.items()
        if values is not None
    }


def pattern_numbers(live: LivePictures) -> dict[str, Any]:
    """Return what the heads of all layers give to each word, from each word that is drawn.

    ``cells`` (layer and head, query, key) of the keys that a query may read; what is before the
    first drawn word counts as one.
    """
    trace, view = live.view.trace, live.view
    first, drawn = view.first, slice(view.first, view.stop)
    rows = np.concatenate(
        [trace.get("pattern", layer)[:, drawn, : view.stop] for layer in range(trace.meta.n_layers)]
    )
    if first:
        hidden = rows[..., :first].sum(axis=-1, keepdims=True)
        rows = np.concatenate([hidden, rows[..., first:]], axis=-1)
    _, queries, keys = rows.shape
    read = np.tri(queries, keys, k=keys - queries, dtype=bool)
    return {"cells": live.arrays.add(rows[:, read]), "heads": len(rows)}


def published_numbers(live: LivePictures) -> dict[str, Any]:
    """Return published models with the sizes that fix their caches, and GPUs."""
    return {
        "models": [
            {
                "name": model.name,
                "scheme": model.scheme,
                "heads": model.n_heads,
                "sets": model.n_kv_heads,
                "layers": model.n_layers,
                "width": model.d_head,
                "latent": list(model.latent or ()),
                "source": model.source,
                "address": model.address,
            }
            for model in ARCHITECTURES
        ],
        # Those that the film shows are chosen at first.
        "model": architecture("DeepSeek-V3/R1").name,
        "gpu": H100_SXM.name,
        "gpus": [
            {
                "name": gpu.name,
                "bytes": gpu.memory_bytes,
                "speed": gpu.bytes_per_second,
                "source": gpu.source,
                "address": gpu.address,
            }
            for gpu in GPUS
        ],
    }


NUMBERS = {
    "latent": latent_numbers,
    "layer": layer_numbers,
    "patterns": pattern_numbers,
    "published": published_numbers,
    "rank": LivePictures.rank,
}
"""Functions that return the numbers of a file, by its name."""


def _shares(view: LayerView) -> bool:
    meta = view.trace.meta
    return meta.attention != "mla" and meta.n_heads > 1


def _has_latent(view: LayerView) -> bool:
    fitted = view.trace.meta.latent or {}
    return view.trace.meta.n_kv_heads > 1 and str(view.layer) in fitted


PARTS = (
    Part("dot", needs=("layer",)),
    Part("softmax", "scene_attention", "queries_and_keys", "queries_and_keys", needs=("layer",)),
    Part("mix", needs=("layer",), waits="softmax"),
    Part("heads", needs=("layer",), fits=lambda view: view.trace.meta.n_heads > 1, waits="softmax"),
    Part(
        "sets",
        *("scene_sharing", *2 * ("attention_moves",)),
        needs=("layer",),
        fits=_shares,
        premise=("one_set_for_all",),
    ),
    Part(
        "latent",
        *("scene_mla", *2 * ("all_heads_compared",)),
        needs=("layer", "latent"),
        fits=lambda view: _has_latent(view) and not is_converted(view.trace),
        waits="sets",
    ),
    # Of a converted model the film's question is about all layers.
    Part(
        "latent",
        needs=("layer", "latent"),
        fits=lambda view: _has_latent(view) and is_converted(view.trace),
        waits="sets",
    ),
    Part(
        "rank",
        *("scene_mla", *2 * ("all_heads_compared",)),
        needs=("rank",),
        fits=lambda view: is_converted(view.trace),
        premise=("the_same_budget",),
    ),
    Part(
        "memory",
        *("scene_cache_size", *2 * ("one_gpu",)),
        needs=("published",),
        premise=("one_token",),
    ),
    Part(
        "reading",
        *("scene_sparse", *2 * ("each_head_chooses",)),
        needs=("patterns",),
        premise=("the_last_ones", "the_first_one"),
    ),
)
"""The parts of the page, in the order of the story."""


def norms_of(live: LivePictures) -> dict[str, Any]:
    """Return the norms of a layer's tensors in the theme in use, for the page."""
    view = replace(live.view)  # which remembers its norms, and with them the colours of a theme
    norms = {name: view.norm(name) for name in ("q", "k", "v")}
    # A product of a query and a key, channel by channel, and what they add up to.
    norms |= {"scores": view.scores_norm, "pattern": Norm.unit(), "z": view.norm("z")}
    theme = current_theme()
    norms["moved"] = Norm(0.0, 1.0, theme.rising(theme.highlight))
    if _has_latent(view):
        latents = LatentView.of(view)
        norms["latent"] = latents.norm(latents.mla.kv_latent, "latent")
    return {name: live.norm(norm) for name, norm in norms.items()}


def sets_of(trace: Trace) -> list[int]:
    """Return how many sets of keys and values the heads may share: own ones, groups, one."""
    meta = trace.meta
    groups = meta.n_kv_heads if meta.n_kv_heads < meta.n_heads else groups_for(meta.n_heads)
    return sorted({meta.n_heads, groups, 1}, reverse=True)
