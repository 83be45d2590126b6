"""Metadata of a trace: what is known of the model, its attention and the tokens."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from extract.attention.head_norm import HeadNorm
from extract.attention.self_check import TOLERANCE
from extract.errors import TraceError
from extract.limits import MAX_DEPTH, MAX_METADATA
from extract.support.plain_text import shortened
from extract.support.ranges import Range
from extract.trace.contents.json_records import from_json

__all__ = [
    "LARGEST_EPS",
    "LATER_FIELDS",
    "SCHEMA",
    "TOP_TOKENS",
    "Featured",
    "ModelSource",
    "Published",
    "TraceMeta",
    "attention_kind",
    "damaged",
    "require_at_most",
]

SCHEMA = 2
"""Version of the file format.  Files of version 1 are read too: they have no seal
(`extract.trace.seal`), and what they lack is computed from what they hold
(`extract.trace.older_files`)."""

TOP_TOKENS = 5
"""Number of likeliest next tokens stored for every position."""

LATER_FIELDS = (
    *("norm_eps", "qk_norm", "windows", "score_cap", "sinks", "rows", "published", "conversion"),
)
"""Fields that are written only where there is something to say, as older files lack them."""

LARGEST_EPS = 1e-3
"""Largest epsilon of a norm on a latent; models have 1e-5 or less."""


def damaged(what: str) -> TraceError:
    """Return the error for a file whose content is wrong."""
    return TraceError(f"{what}; extract it again")


def require_at_most(limit: int, count: int, what: str) -> None:
    """Refuse a count above a limit of :mod:`extract.limits`; `what` is counted."""
    if count > limit:
        raise damaged(f"it has {shortened(f'{count:,}')} {what}, and at most {limit:,} can be read")


def attention_kind(n_heads: int, n_kv_heads: int) -> str:
    """Return "mha", "gqa" or "mqa", which follows from the numbers of heads without a latent."""
    if n_kv_heads == n_heads:
        return "mha"
    return "mqa" if n_kv_heads == 1 else "gqa"


@dataclass(frozen=True)
class Featured:
    """The layer and the head that the pictures show in detail, both counted from 0."""

    layer: int
    head: int


@dataclass(frozen=True)
class ModelSource:
    """Where the model came from.

    Parameters
    ----------
    kind : str
        "hub", "package", "file", "folder", "memory" (a model given from Python), "synthetic" (no
        model: numpy only), "published" (not extracted here: values that others published) or
        "imported" (arrays of another program, `extract.models.imported`).
    name : str
        The name on the hub or of the package, or that of the file or folder without its path.
    revision : str
        The commit on the hub, or the version of the package; empty otherwise.
    sha256 : str
        Checksum of the weights in a package, file or folder; empty otherwise.
    """

    kind: str
    name: str
    revision: str = ""
    sha256: str = ""


@dataclass(frozen=True)
class Published:
    """Where the patterns of a trace come from, if it was not extracted.

    Parameters
    ----------
    by : str
        Who published them, and where, or the file that they were imported from.
    precision : float
        The largest error of a value, from its rounding.
    """

    by: str
    precision: float


@dataclass(frozen=True, kw_only=True)
class TraceMeta:
    """Metadata of a trace: the model, its attention and the tokens.

    Parameters
    ----------
    schema : int
        Version of the file that it was read from, or `SCHEMA`.
    model : str
        The model's name as shown on screen.
    source : ModelSource
    attention : str
        "mha", "gqa", "mqa" or "mla".
    positions : str
        How the model encodes positions: "learned", "rotary", "alibi" or "none".
    n_layers, n_heads, n_kv_heads, d_model, d_qk, d_v : int
        ``n_kv_heads`` equals ``n_heads`` for "mha" and "mla".
    rotary_dim : int
        Number of channels of each head that rotate; 0 without rotation.
    rotary_style : str
        Which channels rotate in pairs: "half" (i with i + rotary_dim / 2), "interleaved" (2i with
        2i + 1), or empty without rotation.
    score_scale : float
        Factor of the dot products before the softmax, usually 1 / sqrt(d_qk).
    prompt : str
        The text of the prompt.
    tokens : tuple of str
        The text of every token, prompt and continuation; for parts of characters see
        :mod:`extract.trace.contents.byte_tokens`.
    token_ids : tuple of int
    n_prompt : int
        Number of tokens of the prompt, including the beginning-of-sequence token if there is one.
    has_bos : bool
        Whether position 0 is a beginning-of-sequence token in front of the prompt.
    featured : Featured
    featured_criterion : str
        How the featured layer and head were chosen, in one sentence.
    continued : bool
        True if the user gave the tokens after the prompt; False if the model generated them.
    random_weights : bool
        True for a model with random weights; pictures then say so.
    versions : mapping of str to str
        Versions of the libraries that made the trace.
    self_check : mapping of str to float
        The largest error of each recomputed step over all layers, max|a - b| / max|b|; see
        `extract.attention.self_check`.
    top_tokens : tuple of tuple of str
        The text of ``top_ids``: [pos][5]; empty for published patterns.
    latent : mapping, optional
        Reports on fitted latents by layer number, as `extract.latent.LatentReport`.
    conversion : mapping, optional
        What a conversion into MLA measured, as
        `extract.trace.contents.conversion_report.ConversionReport`.
    check : mapping, optional
        Result of the comparison with published figures, as
        `extract.trace.contents.check_report.CheckReport`.
    norm_eps : float
        Epsilon of the RMS norms on the latents of an MLA model; 0 for other models.
    qk_norm : HeadNorm, optional
        Norm of queries and keys between projection and rotation, if the model has one.
    windows : tuple of int
        For each layer the number of keys that a query attends to at most, its own and those right
        before it (sliding-window attention); 0 for a layer that hides no key of these tokens.
        Empty if no layer hides any.
    score_cap : float
        The scaled scores are squeezed between minus and plus this number before the softmax; 0 if
        they are not.
    sinks : bool
        Whether every softmax has one more key that is no token: the rows of a pattern then sum to
        less than 1.
    rows : tuple of int
        First position that the pictures draw and one past the last one, chosen for a long prompt;
        empty if they draw the whole prompt.
    published : Published, optional
        Only for a trace that was not extracted: it holds published patterns and nothing else, or
        what was imported.
    """

    schema: int
    model: str
    source: ModelSource
    attention: str
    positions: str
    n_layers: int
    n_heads: int
    n_kv_heads: int
    d_model: int
    d_qk: int
    d_v: int
    rotary_dim: int = 0
    rotary_style: str = ""
    score_scale: float
    prompt: str
    tokens: tuple[str, ...]
    token_ids: tuple[int, ...]
    n_prompt: int
    has_bos: bool
    featured: Featured
    featured_criterion: str
    continued: bool = False
    random_weights: bool = False
    versions: Mapping[str, str] = field(default_factory=dict)
    self_check: Mapping[str, Annotated[float, Range(0, TOLERANCE)]] = field(default_factory=dict)
    top_tokens: tuple[tuple[str, ...], ...] = ()
    latent: Mapping[str, Any] | None = None
    conversion: Mapping[str, Any] | None = None
    check: Mapping[str, Any] | None = None
    norm_eps: float = 0.0
    qk_norm: HeadNorm | None = None
    windows: tuple[int, ...] = ()
    score_cap: float = 0.0
    sinks: bool = False
    rows: tuple[int, ...] = ()
    published: Published | None = None

    @property
    def rotary_start(self) -> int:
        """The first channel of a head that rotates: 0, but in MLA the last channels do."""
        return self.d_qk - self.rotary_dim if self.attention == "mla" else 0

    @property
    def one_set(self) -> int:
        """Numbers of one set of keys and values of a token, in one layer."""
        return self.d_qk + self.d_v

    def to_json(self) -> str:
        """Return the metadata as one JSON document.

        Steps that the model's attention does not have, and rows if none were chosen, are left out.
        """
        document = {
            name: value
            for name, value in dataclasses.asdict(self).items()
            if value or name not in LATER_FIELDS
        }
        return json.dumps(document, ensure_ascii=False, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> TraceMeta:
        """Read the metadata from its JSON document.

        Raises
        ------
        TraceError
            If the text is not JSON, nested too deep or of another schema, or if a field is missing,
            unknown or of the wrong type.
        """
        require_at_most(MAX_METADATA, len(text), "characters of metadata")
        try:
            document = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise damaged(f"its metadata is not JSON ({error})") from error
        _require_shallow(document)
        schema = document.get("schema") if isinstance(document, dict) else None
        if isinstance(schema, int) and not 1 <= schema <= SCHEMA:
            advice = "update this project" if schema > SCHEMA else "extract it again"
            raise TraceError(
                f"its schema is {shortened(str(schema))}, and this version reads schema 1 to "
                f"{SCHEMA}; {advice}"
            )
        try:
            meta: TraceMeta = from_json(
                *(cls, document, "its metadata"),
                longest=MAX_METADATA,
                optional=(*LATER_FIELDS, "latent", "check"),
            )
        except TypeError as error:
            raise damaged(str(error)) from error
        return meta


def _require_shallow(document: object) -> None:
    """Refuse a JSON document that is nested deeper than `MAX_DEPTH`."""
    level = [document]
    for _ in range(MAX_DEPTH):
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
    if level:
        raise damaged(f"its metadata is nested deeper than {MAX_DEPTH} levels")
