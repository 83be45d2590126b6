"""What the DeepSeek-V2 technical report (arXiv 2405.04434) says of caches and of quality.

"V2 report" below is that paper, with the page numbers of its PDF.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from extract.facts.architectures import architecture, kv_cache_elements

__all__ = [
    "DENSE_7B",
    "MOE",
    "V2_SAVING",
    "CacheClaim",
    "QualityColumn",
    "QualityTable",
    "v2_cache_claim",
]

V2_SAVING = 0.933
"""Fraction of the cache that DeepSeek-V2 saves, as published; see :func:`v2_cache_claim`."""


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

    The abstract also has 5.76 times the throughput of DeepSeek 67B.  The film leaves that out:
    weights of 8 bits, numbers of 6 bits and larger batches have a share in it (p. 16), so that it
    does not tell how much faster a latent is.  What a latent does is in
    :func:`extract.facts.gpus.decoding_work`.

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
