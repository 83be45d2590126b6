"""Heal a converted model: train each layer's new matrices against the original layer's outputs.

Every layer is trained by itself, on the inputs that it has in the original model, so nothing runs
through the whole model but the text, once.  A step takes a few windows with all their keys, and
some of their queries.  The latent has unit size, and every matrix is trained in units of its own
root mean square, so one learning rate fits all.  Text that the layer is not
trained on is looked at every few steps; the best matrices are kept, and training ends early when
it no longer gets better.
"""

from __future__ import annotations

import math
import time
from dataclasses import replace
from operator import itemgetter

import torch
from torch import Tensor

from extract.conversion.fits import MLALayer, Projected, mix, scores
from extract.trace.contents.conversion_report import LayerHealing

__all__ = ["heal_layer", "unit_latent"]

_LEARNING_RATE = 0.007
_WINDOWS, _QUERIES = 3, 96
"""Windows of a step, and queries in each of them."""
_CHECK_EVERY = 10
_PATIENCE = 3
"""Checks without a gain after which training ends, in its second half: before that the learning
rate is too high to tell."""
_TRAINED = ("W_QR", "W_KR", "W_DKV", "W_UK", "W_UV", "b_O")


def unit_latent(layer: MLALayer, gram: Tensor) -> MLALayer:
    """Return the same layer with a latent of root mean square 1.

    Parameters
    ----------
    layer : MLALayer
    gram : (d_model, d_model)
        E[x^T x] of the inputs.
    """
    energy = (layer.W_DKV * (gram.to(layer.W_DKV) @ layer.W_DKV)).sum(dim=0)
    size = energy.clamp(min=1e-24).sqrt()
    return replace(
        layer,
        W_DKV=layer.W_DKV / size,
        W_UK=layer.W_UK * size[:, None, None],
        W_UV=layer.W_UV * size[:, None, None],
    )


def heal_layer(
    layer: MLALayer,
    inputs: Tensor,
    outputs: Tensor,
    n_validation: int,
    seconds: float,
    seed: int,
) -> tuple[MLALayer, LayerHealing]:
    """Train a layer's new matrices for some seconds; return the healed layer and how it went.

    Parameters
    ----------
    layer : MLALayer
        In float32, with a latent of unit size; see `unit_latent`.
    inputs, outputs : (window, position, d_model)
        Of the original layer; the last `n_validation` windows are not trained on.
    n_validation : int
    seconds : float
        Of computing, all threads busy; the learning rate falls over this time as half a cosine.
    seed : int
    """
    generator = torch.Generator().manual_seed(seed)
    n_windows, n_positions = len(inputs) - n_validation, inputs.shape[1]
    n_queries = min(_QUERIES, n_positions)
    # A matrix of zeros stands for a part that the layer does not have, as a shared set has no keys
    # in its latent; it stays so.
    names = [name for name in _TRAINED if name == "b_O" or bool(getattr(layer, name).any())]
    units = {name: _size(getattr(layer, name)) for name in names}
    trained = {
        name: (getattr(layer, name) / unit).clone().requires_grad_() for name, unit in units.items()
    }
    # Adam moves each entry by about the learning rate, whatever the size of its gradient.
    optimizer = torch.optim.Adam(trained.values(), lr=_LEARNING_RATE)
    checked = torch.randperm(n_positions, generator=generator)[:n_queries].sort().values

    def current() -> MLALayer:
        return layer.with_weights({n: trained[n] * units[n] for n in names})

    def check() -> tuple[float, dict[str, Tensor]]:
        """Return the error on text that is not trained on, and the matrices that have it."""
        with torch.no_grad():
            error = float(_loss(current(), inputs[n_windows:], outputs[n_windows:], checked))
        return error, {name: value.detach().clone() for name, value in trained.items()}

    first = best = check()
    started, steps, worse = _computing_time(), 0, 0
    while (spent := (_computing_time() - started) / seconds) < 1 and worse < _PATIENCE:
        for group in optimizer.param_groups:
            group["lr"] = _LEARNING_RATE * 0.5 * (1 + math.cos(math.pi * spent))
        windows = torch.randperm(n_windows, generator=generator)[:_WINDOWS]
        queries = torch.randperm(n_positions, generator=generator)[:n_queries].sort().values
        optimizer.zero_grad()
        loss = _loss(current(), inputs[windows], outputs[windows], queries)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        steps += 1
        if steps % _CHECK_EVERY == 0:
            now = check()
            worse = 0 if now[0] < best[0] or spent <= 0.5 else worse + 1
            best = min(best, now, key=itemgetter(0))
    stopped_early = worse >= _PATIENCE
    error, kept = min(best, check(), key=itemgetter(0))
    healed = layer.with_weights({n: kept[n] * units[n] for n in names})
    return healed, LayerHealing(first[0], error, steps, stopped_early)


def _computing_time() -> float:
    """Return the seconds that this process has computed, all threads busy.

    On a machine that does other work too, a minute takes longer but heals as much.
    """
    return time.process_time() / torch.get_num_threads()


def _size(tensor: Tensor) -> float:
    """Return the root mean square of a tensor, or 1 if it is empty or zero."""
    size = float(tensor.square().mean().sqrt()) if tensor.numel() else 0.0
    return size or 1.0


def _loss(layer: MLALayer, x: Tensor, outputs: Tensor, queries: Tensor) -> Tensor:
    """Return the relative squared error of a layer's outputs at some queries.

    Parameters
    ----------
    layer : MLALayer
    x, outputs : (window, position, d_model)
    queries : (n,) of int
        Positions, the same in every window.
    """
    k, v = layer.keys_and_values(x)
    asked = Projected(layer.queries(x[:, queries], queries), k, v)
    later = torch.arange(x.shape[1]) > queries[:, None]
    weights = scores(asked, layer.scale).masked_fill(later, -torch.inf).softmax(dim=-1)
    target = outputs[:, queries]
    lost: Tensor = (layer.output(mix(weights, v)) - target).square().sum() / target.square().sum()
    return lost
