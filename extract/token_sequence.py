"""The tokens of a trace: the prompt, and the ones that a model adds to it.

Needs torch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers.convert_slow_tokenizer import bytes_to_unicode

from extract.errors import ExtractError
from extract.fragments import FRAGMENT, spelled_bytes

__all__ = ["Report", "TokenSequence", "logits_of", "token_text"]

Report = Callable[[str, int, int], None]
"""Told what is being done, and how many of how many steps of it are finished."""


_TABLE: Any = bytes_to_unicode  # its library has no types for it
LETTER_BYTES: dict[str, int] = {letter: byte for byte, letter in _TABLE().items()}
"""The byte that each letter of a byte-level token stands for, as in GPT-2."""


def token_text(tokenizer: Any, token: int) -> str:
    """Return a token's text, its leading space included; parts of characters are spelled out."""
    text: str = tokenizer.decode([token], clean_up_tokenization_spaces=False)
    piece = tokenizer.convert_ids_to_tokens(token)
    if not isinstance(piece, str):
        return text
    if "\N{REPLACEMENT CHARACTER}" in text:
        if FRAGMENT.fullmatch(piece):
            return piece
        if set(piece) <= LETTER_BYTES.keys():
            return spelled_bytes(bytes(LETTER_BYTES[letter] for letter in piece))
    # SentencePiece marks the space in the piece and drops it when a piece is decoded alone.
    if piece.startswith("\u2581") and not text.startswith(" "):
        return f" {text}"
    return text


@dataclass
class TokenSequence:
    """The tokens of one trace: the prompt, and what follows it."""

    ids: list[int]
    n_prompt: int
    has_bos: bool
    limit: int

    @classmethod
    def of(
        cls, model: Any, tokenizer: Any, prompt: str, continuation: str | None, bos: bool
    ) -> TokenSequence:
        """Split the prompt, and the continuation if there is one, into tokens."""
        ids = _split(tokenizer, prompt)
        if not ids:
            raise ExtractError("the prompt is empty; give at least one word with --prompt")
        whole = _split(tokenizer, prompt + (continuation or ""))
        if whole[: len(ids)] != ids:
            raise ExtractError(
                "the continuation joins the prompt's last word; begin it with a space or a comma"
            )
        start = [_bos_token(tokenizer)] if bos else []
        limit = getattr(model.config, "max_position_embeddings", None) or 2**31
        words = cls(start + whole, len(start) + len(ids), bos, limit)
        words.check_length()
        return words

    def generate(self, model: Any, tokenizer: Any, count: int, report: Report) -> None:
        """Let the model add its likeliest token, ``count`` times or until it ends the text."""
        ends = _end_tokens(model, tokenizer)
        for step in range(count):
            report("generating", step, count)
            token = int(logits_of(model, self.ids)[-1].argmax())
            if token in ends:
                break
            self.ids.append(token)
            self.check_length()
        report("generating", count, count)

    def check_length(self) -> None:
        """Refuse more tokens than the model knows positions for."""
        if len(self.ids) > self.limit:
            raise ExtractError(
                f"{len(self.ids)} tokens are more than the model's {self.limit} positions; "
                "shorten the prompt"
            )


def _split(tokenizer: Any, text: str) -> list[int]:
    ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    return list(ids)


def _bos_token(tokenizer: Any) -> int:
    """Return the beginning-of-sequence token, or as TransformerLens does the end-of-text one."""
    for token in (tokenizer.bos_token_id, tokenizer.eos_token_id):
        if token is not None:
            return int(token)
    raise ExtractError("this tokenizer has no beginning-of-sequence token; add --bos no")


def _end_tokens(model: Any, tokenizer: Any) -> set[int]:
    """Return the tokens that end a text."""
    ends: set[int] = set()
    for owner in (getattr(model, "generation_config", None), model.config, tokenizer):
        found = getattr(owner, "eos_token_id", None)
        ends.update(found if isinstance(found, list | tuple) else [] if found is None else [found])
    return ends


def logits_of(model: Any, ids: Sequence[int]) -> torch.Tensor:
    """Return a plain model's logits, [pos, vocabulary]."""
    with torch.inference_mode():
        # Without the cache: every pass computes all positions, so no state can go stale.
        tokens = torch.tensor([list(ids)], device=model.device)
        logits: torch.Tensor = model(input_ids=tokens, use_cache=False).logits[0]
    return logits.float().cpu()
