"""Metadata of a trace: what is known of the model, its attention and the tokens."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from extract.errors import TraceError

__all__ = [
    "SCHEMA",
    "TOP_TOKENS",
    "Featured",
    "ModelSource",
    "TraceMeta",
    "damaged",
    "validate_meta",
]

SCHEMA = 1
"""Version of the file format; a file of any other version is refused."""

TOP_TOKENS = 5
"""Number of likeliest next tokens stored for every position."""

_ATTENTION = ("mha", "gqa", "mqa", "mla")
_POSITIONS = ("learned", "rotary", "alibi", "none")
_ROTARY_STYLES = ("", "half", "interleaved")


def damaged(what: str) -> TraceError:
    """Return the error for a file whose content is wrong."""
    return TraceError(f"{what}; extract it again")


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
        "hub", "package", "file", "folder", "memory" (a model given from Python) or "synthetic" (no
        model: numpy only).
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
class TraceMeta:
    """Metadata of a trace: the model, its attention and the tokens.

    Parameters
    ----------
    schema : int
        Version of the file format, `SCHEMA`.
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
        :mod:`extract.byte_tokens`.
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
        `extract.self_check`.
    top_tokens : tuple of tuple of str
        The text of ``top_ids``: [pos][5].
    latent : mapping, optional
        Reports on fitted latents by layer number, as `extract.latent.LatentReport`.
    conversion : mapping, optional
        What a conversion into MLA measured, as `extract.conversion_report.ConversionReport`.
    check : mapping, optional
        Result of the comparison with published figures, as `extract.check.CheckReport`.
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

    def to_json(self) -> str:
        """Return the metadata as one JSON document."""
        return json.dumps(dataclasses.asdict(self), ensure_ascii=False, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> TraceMeta:
        """Read the metadata from its JSON document.

        Raises
        ------
        TraceError
            If the text is not JSON or of another schema, or if a field is missing, unknown or of
            the wrong type.
        """
        try:
            document = json.loads(text)
        except json.JSONDecodeError as error:
            raise damaged(f"its metadata is not JSON ({error})") from error
        fields = _Fields(document, "its metadata")
        schema = fields.integer("schema")
        if schema != SCHEMA:
            advice = "update this project" if schema > SCHEMA else "extract it again"
            raise TraceError(
                f"its schema is {schema}, and this version reads schema {SCHEMA}; {advice}"
            )
        source = _Fields(fields.take("source"), "its metadata's 'source'")
        featured = _Fields(fields.take("featured"), "its metadata's 'featured'")
        meta = cls(
            schema=schema,
            model=fields.text("model"),
            source=ModelSource(
                *(source.text(name) for name in ("kind", "name", "revision", "sha256"))
            ),
            attention=fields.text("attention"),
            positions=fields.text("positions"),
            n_layers=fields.integer("n_layers"),
            n_heads=fields.integer("n_heads"),
            n_kv_heads=fields.integer("n_kv_heads"),
            d_model=fields.integer("d_model"),
            d_qk=fields.integer("d_qk"),
            d_v=fields.integer("d_v"),
            rotary_dim=fields.integer("rotary_dim"),
            rotary_style=fields.text("rotary_style"),
            score_scale=fields.number("score_scale"),
            prompt=fields.text("prompt"),
            tokens=fields.texts("tokens"),
            token_ids=fields.integers("token_ids"),
            n_prompt=fields.integer("n_prompt"),
            has_bos=fields.boolean("has_bos"),
            featured=Featured(featured.integer("layer"), featured.integer("head")),
            featured_criterion=fields.text("featured_criterion"),
            continued=fields.boolean("continued"),
            random_weights=fields.boolean("random_weights"),
            versions={
                name: _text(value, name) for name, value in fields.mapping("versions").items()
            },
            self_check={
                name: _number(value, name) for name, value in fields.mapping("self_check").items()
            },
            top_tokens=tuple(
                tuple(_text(word, "top_tokens") for word in row)
                for row in fields.rows("top_tokens")
            ),
            latent=fields.optional_mapping("latent"),
            conversion=fields.optional_mapping("conversion"),
            check=fields.optional_mapping("check"),
        )
        for group in (fields, source, featured):
            group.finish()
        return meta


def _number(value: object, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise damaged(f"its metadata's '{name}' should be a finite number, not {value!r}")
    return float(value)


def _text(value: object, name: str) -> str:
    if not isinstance(value, str):
        raise damaged(f"its metadata's '{name}' should be text, not {value!r}")
    return value


def _integer(value: object, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise damaged(f"its metadata's '{name}' should be a whole number, not {value!r}")
    return value


class _Fields:
    """Reader of one JSON object: each field is taken once and checked for its type."""

    def __init__(self, document: object, what: str) -> None:
        if not isinstance(document, dict):
            raise damaged(f"{what} is not a JSON object")
        self._remaining: dict[str, Any] = dict(document)
        self._what = what

    def take(self, name: str) -> Any:
        """Return a field and remove it; `finish` then finds fields that were not taken."""
        if name not in self._remaining:
            raise damaged(f"{self._what} has no '{name}'")
        return self._remaining.pop(name)

    def text(self, name: str) -> str:
        return _text(self.take(name), name)

    def integer(self, name: str) -> int:
        return _integer(self.take(name), name)

    def number(self, name: str) -> float:
        return _number(self.take(name), name)

    def boolean(self, name: str) -> bool:
        value = self.take(name)
        if not isinstance(value, bool):
            raise damaged(f"{self._what}'s '{name}' should be true or false, not {value!r}")
        return value

    def items(self, name: str) -> list[Any]:
        value = self.take(name)
        if not isinstance(value, list):
            raise damaged(f"{self._what}'s '{name}' should be a list, not {value!r}")
        return value

    def texts(self, name: str) -> tuple[str, ...]:
        return tuple(_text(value, name) for value in self.items(name))

    def integers(self, name: str) -> tuple[int, ...]:
        return tuple(_integer(value, name) for value in self.items(name))

    def rows(self, name: str) -> list[list[Any]]:
        value = self.items(name)
        if not all(isinstance(row, list) for row in value):
            raise damaged(f"{self._what}'s '{name}' should be a list of lists")
        return value

    def mapping(self, name: str) -> dict[str, Any]:
        value = self.take(name)
        if not isinstance(value, dict):
            raise damaged(f"{self._what}'s '{name}' should be an object, not {value!r}")
        return value

    def optional_mapping(self, name: str) -> dict[str, Any] | None:
        if self._remaining.get(name) is None:
            self._remaining.pop(name, None)
            return None
        return self.mapping(name)

    def finish(self) -> None:
        """Refuse fields that were not taken."""
        if self._remaining:
            raise damaged(f"{self._what} has unknown fields ({', '.join(sorted(self._remaining))})")


def validate_meta(meta: TraceMeta) -> None:
    """Check the metadata's values and that they agree with one another."""
    if meta.schema != SCHEMA:
        raise damaged(f"its schema is {meta.schema}, and this version writes schema {SCHEMA}")
    for name, value, choices in (
        ("attention", meta.attention, _ATTENTION),
        ("positions", meta.positions, _POSITIONS),
        ("rotary_style", meta.rotary_style, _ROTARY_STYLES),
    ):
        if value not in choices:
            raise damaged(
                f"its '{name}' is '{value}', not one of {', '.join(filter(None, choices))}"
            )
    for name in ("n_layers", "n_heads", "n_kv_heads", "d_model", "d_qk", "d_v"):
        if getattr(meta, name) < 1:
            raise damaged(f"its '{name}' is {getattr(meta, name)} and should be at least 1")
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
            f"its 'rotary_dim' is {meta.rotary_dim}; it should be even and at most {meta.d_qk}"
        )
    if not (math.isfinite(meta.score_scale) and meta.score_scale > 0):
        raise damaged(f"its 'score_scale' is {meta.score_scale} and should be positive")
    n_tokens = len(meta.tokens)
    if not n_tokens == len(meta.token_ids) == len(meta.top_tokens):
        raise damaged(
            f"it has {n_tokens} tokens, {len(meta.token_ids)} token ids and "
            f"{len(meta.top_tokens)} rows of next tokens"
        )
    if any(len(row) != TOP_TOKENS for row in meta.top_tokens):
        raise damaged(f"its 'top_tokens' should have {TOP_TOKENS} words in every row")
    if not 1 + meta.has_bos <= meta.n_prompt <= n_tokens:
        raise damaged(f"its 'n_prompt' is {meta.n_prompt}, which does not fit {n_tokens} tokens")
    if not (0 <= meta.featured.layer < meta.n_layers and 0 <= meta.featured.head < meta.n_heads):
        raise damaged(
            f"its featured layer {meta.featured.layer}, head {meta.featured.head} is outside "
            f"{meta.n_layers} layers of {meta.n_heads} heads"
        )
