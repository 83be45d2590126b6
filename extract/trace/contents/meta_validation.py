"""Check the values of a trace's metadata, and that they agree with one another."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate

from extract.attention.head_norm import NORM_KINDS, NORM_SPANS
from extract.limits import (
    MAX_HEADS,
    MAX_LAYERS,
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
from extract.trace.contents.byte_tokens import BYTE_TOKENS, bytes_of, letters, whole_text
from extract.trace.contents.check_report import CheckReport
from extract.trace.contents.meta import (
    LARGEST_EPS,
    SCHEMA,
    TOP_TOKENS,
    TraceMeta,
    attention_kind,
    damaged,
    require_at_most,
)

__all__ = ["validate_meta"]

_ATTENTION = ("mha", "gqa", "mqa", "mla")
_POSITIONS = ("learned", "rotary", "alibi", "none")
_ROTARY_STYLES = ("", "half", "interleaved")
_SOURCES = ("hub", "package", "file", "folder", "memory", "synthetic", "published", "imported")

_WORST_PRECISION = 0.01
"""Published patterns whose values are coarser tell too little to be drawn."""

_SHA256 = re.compile(r"(?:[0-9a-f]{64})?")

_SPECIAL = re.compile(r"\s*(?:<[^<>]+>|\[[^\[\]]+\])")
"""Matches a token that is no text, such as the one for what a tokenizer does not know."""

_SCALES = (1e-6, 1e3)
"""Smallest and largest factor of the scores: usually 1 / sqrt(d_qk), in no known model above 1."""

_LARGEST_CAP = 1e6
"""Largest cap of the scores; models have 30 to 50."""


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
    if meta.check is not None:
        try:
            CheckReport.from_json(meta.check)
        except TypeError as error:
            raise damaged(str(error)) from error


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
    require_at_most(MAX_TOKENS, len(meta.tokens), "tokens")
    require_at_most(MAX_VERSIONS, len(meta.versions), "versions of libraries")
    require_at_most(MAX_VERSIONS, len(meta.self_check), "errors of the self-check")


def _validate_texts(meta: TraceMeta) -> None:
    """Check that texts are not too long, and that names hold no invisible characters."""
    require_at_most(MAX_PROMPT, len(meta.prompt), "characters in its prompt")
    for token in (*meta.tokens, *(word for row in meta.top_tokens for word in row)):
        require_at_most(MAX_TOKEN_TEXT, len(token), "characters in a token")
    for what, text in (
        ("model", meta.model),
        ("source", meta.source.name),
        ("revision", meta.source.revision),
        *(("versions", text) for version in meta.versions.items() for text in version),
        *(("self_check", step) for step in meta.self_check),
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
        text = meta.to_json()
        text.encode()
    except ValueError as error:  # a number that is not finite, or half of a character
        raise damaged(f"its metadata cannot be written ({shortened(str(error))})") from error
    TraceMeta.from_json(text)  # what is written can be read


def _validate_name(what: str, text: str, limit: int) -> None:
    """Check the length of a name and that it can be shown."""
    require_at_most(limit, len(text), f"characters in its '{what}'")
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
    plain = attention_kind(meta.n_heads, meta.n_kv_heads)
    possible = (plain, "mla") if plain == "mha" else (plain,)
    if meta.attention not in possible or meta.n_heads % meta.n_kv_heads:
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
    spans = set(_spans_of_prompt(meta.prompt.encode(), [bytes_of(token) for token in meta.tokens]))
    if (meta.has_bos, meta.n_prompt) in spans:
        return
    if spans:
        has_bos, n_prompt = max(spans)
        raise damaged(
            f"its prompt is spelled by the tokens {int(has_bos)} to {n_prompt - 1}, and its "
            f"'has_bos' and 'n_prompt' say {int(meta.has_bos)} to {meta.n_prompt - 1}"
        )
    # Here the tokenizer has rewritten the text, or does not know some of it.
    tokens = meta.tokens[meta.has_bos : meta.n_prompt]
    if not _are_in_order(_known_parts(tokens), letters(meta.prompt)):
        raise damaged(
            f"its prompt is {_quoted(meta.prompt)}, and its tokens spell "
            f"{_quoted(whole_text(tokens))}"
        )


def _known_parts(tokens: Sequence[str]) -> list[str]:
    """Return the letters of tokens, parted where one stands for what a tokenizer does not know."""
    parts: list[list[str]] = [[]]
    for token in tokens:
        if _SPECIAL.fullmatch(token) and not BYTE_TOKENS.fullmatch(token):
            parts.append([])
        else:
            parts[-1].append(token)
    return [letters(whole_text(part)) for part in parts]


def _are_in_order(parts: Sequence[str], text: str) -> bool:
    """Return whether a text consists of these parts, with anything between any two of them."""
    first, *others = parts
    if not others:
        return text == first
    *middle, last = others
    at, end = len(first), len(text) - len(last)
    for part in middle:
        # What is not there is found before the first place.
        at = (text.find(part, at, end) + 1 or end + 1) - 1 + len(part)
    return text.startswith(first) and text.endswith(last) and at <= end


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
