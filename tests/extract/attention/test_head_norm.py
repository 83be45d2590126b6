"""Test the norm of queries and keys against torch's own norms."""

from __future__ import annotations

import numpy as np
import pytest

from extract.attention.head_norm import HeadNorm

torch = pytest.importorskip("torch")


@pytest.mark.parametrize("span", ["head", "token"])
@pytest.mark.parametrize("kind", ["rms", "layer"])
def test_a_norm_is_torchs(kind: str, span: str) -> None:
    rng = np.random.default_rng(0)
    heads, gain, bias = (rng.normal(size=size) for size in ((5, 3, 4), (3, 4), (3, 4)))
    flat = torch.from_numpy(heads if span == "head" else heads.reshape(5, 12))
    norm = torch.nn.functional.rms_norm if kind == "rms" else torch.nn.functional.layer_norm
    plain = norm(flat, flat.shape[-1:], eps=1e-3).numpy().reshape(heads.shape)
    result = HeadNorm(kind, span, 1e-3).apply(heads, gain, bias)
    np.testing.assert_allclose(result, plain * gain + bias, atol=1e-12)
    np.testing.assert_allclose(
        HeadNorm(kind, span, 1e-3).apply(heads, gain), plain * gain, atol=1e-12
    )


def test_the_span_matters() -> None:
    heads = np.random.default_rng(0).normal(size=(5, 3, 4))
    one, all_heads = (HeadNorm("rms", span, 0.0).apply(heads, 1.0) for span in ("head", "token"))
    assert np.abs(one - all_heads).max() > 0.1
