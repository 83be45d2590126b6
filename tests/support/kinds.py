"""One trace of each kind of model and prompt that the scenes must show or refuse."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from extract.trace import Trace
from tests.support.checkout import SHIPPED
from tests.support.latents import with_latent
from tests.support.traces import make_trace

__all__ = ["KINDS", "LONG_WORDS", "OWN_KEYS", "SHIPPED_KIND", "trace_of_kind"]

LONG_WORDS = ("antidisestablis", " a")
SHIPPED_KIND = "shipped"
OWN_KEYS = "learned positions, biases"
MIXED_WORDS = ("internationally", " a", " naïve", " sphinx", " of", " wwwwwwwwwwwwwww")
SCRIPTS = ("注意", "力", "机制", "🙂", "让", "模型", "👩‍🚀", "看见", "，", "世界", "吗")


def _made(make: Callable[..., Trace] = with_latent, **options: Any) -> Callable[[], Trace]:
    return lambda: make(**options)


KINDS: dict[str, Callable[[], Trace]] = {
    SHIPPED_KIND: lambda: Trace.load(SHIPPED),
    # As GPT-2: every head has keys and values of its own.
    OWN_KEYS: _made(n_heads=12, d_head=64, d_model=192, n_layers=12, biases=True, n_generated=4),
    "grouped heads, rotary": _made(
        n_heads=9,
        n_kv_heads=3,
        d_head=64,
        d_model=288,
        n_layers=8,
        positions="rotary",
        rotary_style="interleaved",
        n_generated=4,
    ),
    "one head": _made(n_heads=1, d_head=32, n_generated=2),
    "one layer": _made(n_layers=1, d_head=16, positions="alibi", n_generated=11),
    "true MLA": _made(
        make_trace, n_heads=6, d_head=32, positions="rotary", mla=True, n_generated=2
    ),
    "2 tokens": _made(
        n_tokens=2, d_head=32, biases=True, n_generated=1, words=["A", " b", " c"], featured=(0, 1)
    ),
    "16 words": _made(
        n_tokens=16,
        n_heads=8,
        n_kv_heads=4,
        d_head=32,
        positions="rotary",
        words=MIXED_WORDS * 3,
        n_generated=2,
    ),
    "24 long tokens": _made(
        n_tokens=24,
        n_heads=9,
        n_kv_heads=3,
        d_head=64,
        d_model=288,
        positions="rotary",
        words=LONG_WORDS * 14,
        n_generated=4,
    ),
    "Chinese and emoji": _made(
        n_kv_heads=2, d_head=32, positions="rotary", words=SCRIPTS, n_generated=2
    ),
    "no beginning token": _made(
        n_tokens=12,
        n_heads=8,
        n_kv_heads=1,
        d_head=64,
        d_model=256,
        positions="rotary",
        has_bos=False,
        n_generated=3,
    ),
    "32 heads": _made(
        n_tokens=20,
        n_heads=32,
        n_kv_heads=8,
        d_head=16,
        d_model=256,
        positions="rotary",
        n_generated=3,
    ),
}
"""A function that makes the trace of each kind; :func:`trace_of_kind` makes each only once."""


@cache
def trace_of_kind(name: str) -> Trace:
    """Return the trace of a kind, by its name in :data:`KINDS`; nobody may change it."""
    return KINDS[name]()
