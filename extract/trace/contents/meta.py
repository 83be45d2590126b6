"""Metadata of a trace: what is known of the model, its attention and the tokens."""

from __future__ import annotations

import dataclasses
import json
import re
import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from extract.attention.head_norm import NORM_KINDS, NORM_SPANS, HeadNorm
from extract.errors import TraceError
from extract.limits import (
    MAX_DEPTH,
    MAX_HEADS,
    MAX_LAYERS,
    MAX_METADATA,
    MAX_NAME,
    MAX_PROMPT,
    MAX_SENTENCE,
    MAX_TOKEN_TEXT,
    MAX_TOKENS,
    MAX_VERSIONS,
    MAX_VOCABULARY,
    MAX_WIDTH,
)
from extract.support.plain_text import escaped, shortened
from extract.trace.contents.byte_tokens import BYTE_TOKENS
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
    "damaged",
    "validate_meta",
]

SCHEMA = 2
"""Version of the file format.  Files of version 1 are read too: they have no seal
(`extract.trace.seal`), and what they lack is computed from what they hold
(`extract.trace.older_files`)."""

TOP_TOKENS = 5
"""Number of likeliest next tokens stored for every position."""

_ATTENTION = ("mha", "gqa", "mqa", "mla")
_POSITIONS = ("learned", "rotary", "alibi", "none")
_ROTARY_STYLES = ("", "half", "interleaved")
LATER_FIELDS = (
    *("norm_eps", "qk_norm", "windows", "score_cap", "sinks", "rows", "published", "conversion"),
)
"""Fields that are written only where there is something to say, as older files lack them."""
_SOURCES = ("hub", "package", "file", "folder", "memory", "synthetic", "published", "imported")

_WORST_PRECISION = 0.01
"""Published patterns whose values are coarser tell too little to be drawn."""

_SHA256 = re.compile(r"(?:[0-9a-f]{64})?")

_SCALES = (1e-6, 1e3)
"""Smallest and largest factor of the scores: usually 1 / sqrt(d_qk), in no known model above 1."""

LARGEST_EPS = 1e-3
"""Largest epsilon of a norm on a latent; models have 1e-5 or less."""

_LARGEST_CAP = 1e6
"""Largest cap of the scores; models have 30 to 50."""


def damaged(what: str) -> TraceError:
    """Return the error for a file whose content is wrong."""
    return TraceError(f"{what}; extract it again")


def _require_at_most(limit: int, count: int, what: str) -> None:
    """Refuse a count above a limit of :mod:`extract.limits`; `what` is counted."""
    if count > limit:
        raise damaged(f"it has {shortened(f'{count:,}')} {what}, and at most {limit:,} can be read")


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


@dataclass(frozen=True)
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
        The largest error of each recomputed stage over all layers, max|a - b| / max|b|; see
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
        `extract.facts.published_check.CheckReport`.
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
    rotary_dim: int
    rotary_style: str
    score_scale: float
    prompt: str
    tokens: tuple[str, ...]
    token_ids: tuple[int, ...]
    n_prompt: int
    has_bos: bool
    featured: Featured
    featured_criterion: str
    continued: bool
    random_weights: bool
    versions: Mapping[str, str]
    self_check: Mapping[str, float]
    top_tokens: tuple[tuple[str, ...], ...]
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
        _require_at_most(MAX_METADATA, len(text), "characters of metadata")
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
            meta: TraceMeta = from_json(cls, document, "its metadata", longest=MAX_METADATA)
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


def _quoted(value: object) -> str:
    """Return a value as it is written in Python, or its beginning if it is long."""
    return shortened(repr(value))


def validate_meta(meta: TraceMeta) -> None:
    """Check the metadata's values and that they agree with one another.

    Raises
    ------
    TraceError
        One line that names the first fault.
    """
    if not 1 <= meta.schema <= SCHEMA:
        raise damaged(f"its schema is {meta.schema}, and this version writes schema {SCHEMA}")
    # Limits come first: what follows runs over layers, heads and tokens.
    _validate_counts(meta)
    _validate_texts(meta)
    _validate_attention(meta)
    _validate_steps(meta)
    _validate_published(meta)
    _validate_tokens(meta)
    if not (0 <= meta.featured.layer < meta.n_layers and 0 <= meta.featured.head < meta.n_heads):
        raise damaged(
            f"its featured layer {meta.featured.layer}, head {meta.featured.head} is outside "
            f"{meta.n_layers} layers of {meta.n_heads} heads"
        )
    if meta.check is not None and not isinstance(meta.check.get("agrees"), bool):
        raise damaged("its 'check' does not say whether it agrees")


def _validate_published(meta: TraceMeta) -> None:
    """Check that the source and the metadata of published patterns fit together."""
    if (meta.published is None) == (meta.source.kind in ("published", "imported")):
        raise damaged("its 'source' and its 'published' contradict one another")
    if meta.published is None:
        return
    _validate_name("published", meta.published.by, MAX_SENTENCE)
    if not meta.published.by.strip():
        raise damaged("its 'published' does not say by whom")
    if not 0 < meta.published.precision <= _WORST_PRECISION:
        raise damaged(
            f"its 'precision' is {meta.published.precision:g} and should be above 0 and at most "
            f"{_WORST_PRECISION:g}"
        )
    if meta.self_check or meta.latent or meta.check:
        raise damaged("it holds published patterns, which nothing was computed from")


def _validate_counts(meta: TraceMeta) -> None:
    """Check that nothing is larger than a trace may be; see :mod:`extract.limits`."""
    for name, limit in (
        ("n_layers", MAX_LAYERS),
        ("n_heads", MAX_HEADS),
        ("n_kv_heads", MAX_HEADS),
        ("d_model", MAX_WIDTH),
        ("d_qk", MAX_WIDTH),
        ("d_v", MAX_WIDTH),
    ):
        value = getattr(meta, name)
        if not 1 <= value <= limit:
            raise damaged(f"its '{name}' is {shortened(str(value))} and should be 1 to {limit:,}")
    _require_at_most(MAX_TOKENS, len(meta.tokens), "tokens")
    _require_at_most(MAX_VERSIONS, len(meta.versions), "versions of libraries")
    _require_at_most(MAX_VERSIONS, len(meta.self_check), "errors of the self-check")


def _validate_texts(meta: TraceMeta) -> None:
    """Check that texts are not too long, and that names hold no invisible characters."""
    _require_at_most(MAX_PROMPT, len(meta.prompt), "characters in its prompt")
    for token in (*meta.tokens, *(word for row in meta.top_tokens for word in row)):
        _require_at_most(MAX_TOKEN_TEXT, len(token), "characters in a token")
    for what, text in (
        ("model", meta.model),
        ("source", meta.source.name),
        ("revision", meta.source.revision),
        *(("versions", text) for version in meta.versions.items() for text in version),
        *(("self_check", stage) for stage in meta.self_check),
    ):
        _validate_name(what, text, MAX_NAME)
    _validate_name("featured_criterion", meta.featured_criterion, MAX_SENTENCE)
    if not meta.model.strip():
        raise damaged("its 'model' has no name")
    if not _SHA256.fullmatch(meta.source.sha256):
        raise damaged(
            f"its source's 'sha256' is {_quoted(meta.source.sha256)}, which is not a "
            "SHA-256 checksum"
        )
    try:
        meta.to_json().encode()
    except ValueError as error:  # a number that is not finite, or half of a character
        raise damaged(f"its metadata cannot be written ({shortened(str(error))})") from error


def _validate_name(what: str, text: str, limit: int) -> None:
    """Check the length of a name and that it can be shown."""
    _require_at_most(limit, len(text), f"characters in its '{what}'")
    if escaped(text) != text:
        raise damaged(f"its '{what}' holds characters that cannot be shown: {_quoted(text)}")


def _validate_attention(meta: TraceMeta) -> None:
    """Check that the kind of attention, its heads, positions and scale fit one another."""
    for name, value, choices in (
        ("attention", meta.attention, _ATTENTION),
        ("positions", meta.positions, _POSITIONS),
        ("rotary_style", meta.rotary_style, _ROTARY_STYLES),
        ("source", meta.source.kind, _SOURCES),
    ):
        if value not in choices:
            raise damaged(
                f"its '{name}' is '{shortened(value)}', not one of "
                f"{', '.join(filter(None, choices))}"
            )
    heads_fit = {
        "mha": meta.n_kv_heads == meta.n_heads,
        "mla": meta.n_kv_heads == meta.n_heads,
        "mqa": meta.n_kv_heads == 1 < meta.n_heads,
        "gqa": 1 < meta.n_kv_heads < meta.n_heads and meta.n_heads % meta.n_kv_heads == 0,
    }
    if not heads_fit[meta.attention]:
        raise damaged(
            f"{meta.n_heads} query heads and {meta.n_kv_heads} key/value heads do not make "
            f"'{meta.attention}' attention"
        )
    rotary = meta.positions == "rotary"
    if rotary != (meta.rotary_dim > 0) or rotary != bool(meta.rotary_style):
        raise damaged("'positions', 'rotary_dim' and 'rotary_style' contradict one another")
    if meta.rotary_dim % 2 or meta.rotary_dim > meta.d_qk:
        raise damaged(
            f"its 'rotary_dim' is {shortened(str(meta.rotary_dim))}; it should be even and at most "
            f"{meta.d_qk}"
        )
    lowest, highest = _SCALES
    if not lowest <= meta.score_scale <= highest:
        raise damaged(
            f"its 'score_scale' is {meta.score_scale} and should be {lowest:g} to {highest:g}"
        )


def _validate_steps(meta: TraceMeta) -> None:
    """Check the steps that few models have: norm of queries and keys, windows, capped scores."""
    norm = meta.qk_norm
    if norm is not None and not (
        norm.kind in NORM_KINDS and norm.span in NORM_SPANS and 0 <= norm.eps < 1
    ):
        raise damaged(f"its 'qk_norm' is not a known norm: {_quoted(norm)}")
    if norm is not None and meta.attention == "mla":
        raise damaged("its 'qk_norm' and 'attention' contradict one another")
    if not 0 <= meta.norm_eps <= (LARGEST_EPS if meta.attention == "mla" else 0.0):
        raise damaged(f"its 'norm_eps' is {meta.norm_eps}, which does not fit {meta.attention!r}")
    n_tokens = len(meta.tokens)
    if meta.windows and not (
        len(meta.windows) == meta.n_layers
        and any(meta.windows)
        and all(0 <= window < n_tokens for window in meta.windows)
    ):
        raise damaged(
            f"its 'windows' should be one number of each of {meta.n_layers} layers, less than "
            f"{n_tokens} and not all 0"
        )
    if not 0 <= meta.score_cap <= _LARGEST_CAP:
        raise damaged(f"its 'score_cap' is {meta.score_cap} and should be 0 to {_LARGEST_CAP:,.0f}")


def _validate_tokens(meta: TraceMeta) -> None:
    """Check that texts, ids, next tokens, prompt and beginning-of-sequence token fit together."""
    n_tokens = len(meta.tokens)
    n_rows = n_tokens if meta.published is None else 0
    if n_tokens != len(meta.token_ids) or n_rows != len(meta.top_tokens):
        raise damaged(
            f"it has {n_tokens} tokens, {len(meta.token_ids)} token ids and "
            f"{len(meta.top_tokens)} rows of next tokens"
        )
    if any(len(row) != TOP_TOKENS for row in meta.top_tokens):
        raise damaged(f"its 'top_tokens' should have {TOP_TOKENS} words in every row")
    if not all(0 <= token < MAX_VOCABULARY for token in meta.token_ids):
        raise damaged(f"its 'token_ids' should be 0 to {MAX_VOCABULARY - 1:,}")
    if not 1 + meta.has_bos <= meta.n_prompt <= n_tokens:
        raise damaged(
            f"its 'n_prompt' is {shortened(str(meta.n_prompt))}, which does not fit {n_tokens} "
            "tokens"
        )
    if meta.rows and not (
        len(meta.rows) == 2 and meta.has_bos <= meta.rows[0] < meta.rows[1] <= meta.n_prompt
    ):
        raise damaged(f"its 'rows' should be two positions of the prompt, not {_quoted(meta.rows)}")
    if meta.has_bos and _is_word(meta.tokens[0]):
        raise damaged(
            "its 'has_bos' is true, and its first token is no beginning-of-sequence token but a "
            f"word, {_quoted(meta.tokens[0])}"
        )
    prompt, tokens = meta.prompt.encode(), [_bytes_of(token) for token in meta.tokens]
    for as_written in (True, False):
        if not as_written:
            prompt, tokens = _without_form(prompt), [_without_form(token) for token in tokens]
        spans = set(_spans_of_prompt(prompt, tokens))
        if (meta.has_bos, meta.n_prompt) in spans:
            return
        if spans:
            has_bos, n_prompt = max(spans)
            raise damaged(
                f"its prompt is spelled by the tokens {int(has_bos)} to {n_prompt - 1}, and its "
                f"'has_bos' and 'n_prompt' say {int(meta.has_bos)} to {meta.n_prompt - 1}"
            )
    # Here the tokenizer has rewritten the text, or does not know some of it: nothing to compare.


def _is_word(token: str) -> bool:
    """Return whether a token is an ordinary word: one after a blank, or with small letters."""
    word = token.removeprefix(" ")
    return word.isalpha() and (word != token or word != word.upper())


def _spans_of_prompt(prompt: bytes, tokens: Sequence[bytes]) -> Iterator[tuple[bool, int]]:
    """Yield each (has_bos, n_prompt) with which the tokens spell the prompt."""
    ends = list(accumulate(map(len, tokens)))
    text = b"".join(tokens)
    for has_bos in (False, True):
        start = ends[0] if has_bos else 0
        # SentencePiece puts a blank in front of the first word.
        for written in (prompt, b" " + prompt):
            if text.startswith(written, start):
                end = start + len(written)
                for n_prompt in range(bisect_left(ends, end) + 1, bisect_right(ends, end) + 1):
                    if n_prompt > has_bos:
                        yield has_bos, n_prompt


def _bytes_of(token: str) -> bytes:
    """Return the bytes that a token stands for, also those of incomplete characters."""
    return b"".join(
        bytes.fromhex(re.sub("<0x|>", "", part)) if BYTE_TOKENS.fullmatch(part) else part.encode()
        for part in re.split(f"({BYTE_TOKENS.pattern})", token)
    )


def _without_form(text: bytes) -> bytes:
    """Return a text without what some tokenizers change: case, blanks and forms of letters."""
    letters = unicodedata.normalize("NFKC", text.decode("utf-8", "ignore"))
    return "".join(letters.casefold().split()).encode()
