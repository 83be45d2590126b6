"""The names of `extract.facts` that the documentation gives to programs."""

from extract.facts.architectures import (
    ARCHITECTURES,
    Architecture,
    LatentSize,
    architecture,
    kv_cache_bytes,
    kv_cache_elements,
)
from extract.facts.gpus import decoding_work

__all__ = [
    "ARCHITECTURES",
    "Architecture",
    "LatentSize",
    "architecture",
    "decoding_work",
    "kv_cache_bytes",
    "kv_cache_elements",
]
