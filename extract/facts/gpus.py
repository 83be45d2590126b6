"""What a GPU holds and computes, as published, and what attention makes of it while it decodes."""

from __future__ import annotations

from dataclasses import dataclass

from extract.facts.architectures import Architecture, Scheme, kv_cache_elements, latent_size

__all__ = ["GPUS", "GPU_BYTES", "H100_SXM", "Chip", "DecodingWork", "decoding_work"]

GPU_BYTES = 80 * 10**9
"""Memory of one GPU in bytes, to compare caches with: an NVIDIA A100, H100 or H800 (80 GB)."""


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
    memory_bytes : int
    source : str
    address : str
        Of a page that has these numbers.
    """

    name: str
    operations_per_second: float
    bytes_per_second: float
    memory_bytes: int
    source: str
    address: str

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
    memory_bytes=GPU_BYTES,
    source="NVIDIA H100 Tensor Core GPU datasheet: 3.35 TB/s, and 1,979 TFLOP/s in BF16 with "
    "sparsity, half of it without; the NVIDIA H100 Tensor Core GPU Architecture white paper has "
    "989.4 for the SXM5 board: 132 multiprocessors of 4,096 operations at 1.83 GHz",
    address="https://www.nvidia.com/en-us/data-center/h100/",
)
"""The chip to compare with: dense BF16.  The datasheet prints the rate for sparse matrices, which
is twice as high, and attention is not sparse in that sense."""

GPUS = (
    Chip(
        name="NVIDIA GeForce RTX 4090",
        operations_per_second=165.2e12,
        bytes_per_second=1.008e12,
        memory_bytes=24 * 10**9,
        source="NVIDIA Ada GPU Architecture white paper: 24 GB of GDDR6X, 384 bits at 21 Gbit/s; "
        "165.2 TFLOP/s in FP16 with FP32 accumulation, without sparsity",
        address="https://images.nvidia.com/aem-dam/Solutions/geforce/ada/"
        "nvidia-ada-gpu-architecture.pdf",
    ),
    H100_SXM,
    Chip(
        name="NVIDIA H200 SXM",
        operations_per_second=989.4e12,
        bytes_per_second=4.8e12,
        memory_bytes=141 * 10**9,
        source="NVIDIA H200 Tensor Core GPU datasheet: 141 GB at 4.8 TB/s; the multiprocessors of "
        "the H100 SXM",
        address="https://www.nvidia.com/en-us/data-center/h200/",
    ),
)
"""Chips whose memory a cache may fill, from the smallest; all are sold as GPUs."""


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
