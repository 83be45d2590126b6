"""Tokens of a trace: the prompt and the tokens that follow it.

Needs torch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers.convert_slow_tokenizer import bytes_to_unicode

from extract.errors import ExtractError, PromptError
from extract.limits import MAX_TOKENS, PICTURE_TOKENS, fault_of_prompt
from extract.support.plain_text import shortened
from extract.trace.contents.byte_tokens import BYTE_TOKENS, spell_out_bytes

__all__ = [
    "ProgressCallback",
    "TokenSequence",
    "logits_of",
    "require_length_for_pictures",
    "token_text",
]

ProgressCallback = Callable[[str, int, int], None]
"""Progress callback (task, done, total): `done` of `total` steps of the task are finished."""

_BYTE_ENCODER: Any = bytes_to_unicode  # Any: the library has no types for it
BYTE_DECODER: dict[str, int] = {letter: byte for byte, letter in _BYTE_ENCODER().items()}
"""The byte that each letter of a byte-level token stands for, as in GPT-2."""


def token_text(tokenizer: Any, token: int) -> str:
    """Return a token's text with its leading space; parts of characters are spelled as bytes."""
    text: str = tokenizer.decode([token], clean_up_tokenization_spaces=False)
    piece = tokenizer.convert_ids_to_tokens(token)
    if not isinstance(piece, str):
        return text
    if "\N{REPLACEMENT CHARACTER}" in text:
        if BYTE_TOKENS.fullmatch(piece):
            return piece
        if set(piece) <= BYTE_DECODER.keys():
            return spell_out_bytes(bytes(BYTE_DECODER[letter] for letter in piece))
    # SentencePiece writes a leading space as U+2581, and drops it when a piece is decoded alone.
    if piece.startswith("\u2581") and not text.startswith(" "):
        return f" {text}"
    return text


@dataclass
class TokenSequence:
    """Tokens of one trace: the prompt and the tokens that follow it.

    Attributes
    ----------
    ids : list of int
    n_prompt : int
        Number of tokens of the prompt, including the beginning-of-sequence token if there is one.
    has_bos : bool
    max_length : int
        Number of positions that the model supports.
    """

    ids: list[int]
    n_prompt: int
    has_bos: bool
    max_length: int

    @classmethod
    def from_prompt(
        cls, model: Any, tokenizer: Any, prompt: str, continuation: str | None, bos: bool
    ) -> TokenSequence:
        """Tokenize the prompt, and the continuation if there is one.

        Raises
        ------
        ExtractError
            If the prompt is empty or too long, or if the continuation changes the prompt's tokens.
        """
        for text in (prompt, continuation or ""):
            if fault := fault_of_prompt(text):
                raise ExtractError(f"{shortened(text)!r} cannot be traced: {fault}")
        ids = _tokenize(tokenizer, prompt)
        if not ids:
            raise ExtractError("the prompt is empty; give at least one word with --prompt")
        all_ids = _tokenize(tokenizer, prompt + (continuation or ""))
        if all_ids[: len(ids)] != ids:
            raise ExtractError(
                "the continuation joins the prompt's last word; begin it with a space or a comma"
            )
        start = [_bos_token(tokenizer)] if bos else []
        max_length = getattr(model.config, "max_position_embeddings", None) or 2**31
        sequence = cls(start + all_ids, len(start) + len(ids), bos, max_length)
        sequence.check_length()
        return sequence

    def generate(self, model: Any, tokenizer: Any, count: int, progress: ProgressCallback) -> None:
        """Append the likeliest next token ``count`` times, or until an end-of-text token.

        Raises
        ------
        ExtractError
            If the model has no positions for so many, or a trace no room.
        """
        room = min(self.max_length, MAX_TOKENS) - len(self.ids)
        if count > room:
            raise ExtractError(
                f"there is room for {room:,} tokens after the {len(self.ids):,} of the prompt, not "
                f"for {count:,}; give fewer with --generate, or a shorter prompt"
            )
        ends = _end_tokens(model, tokenizer)
        for step in range(count):
            progress("generating", step, count)
            token = int(logits_of(model, self.ids)[-1].argmax())
            if token in ends:
                break
            self.ids.append(token)
        progress("generating", count, count)

    def check_length(self) -> None:
        """Raise an error if there are more tokens than the model has positions, or a trace."""
        if len(self.ids) > MAX_TOKENS:
            raise ExtractError(
                f"{len(self.ids):,} tokens are more than the {MAX_TOKENS:,} that a trace holds; "
                "shorten the prompt"
            )
        if len(self.ids) > self.max_length:
            raise ExtractError(
                f"{len(self.ids)} tokens are more than the model's {self.max_length} positions; "
                "shorten the prompt"
            )


def require_length_for_pictures(
    tokenizer: Any, prompt: str, *, chosen_rows: bool = False, instead: str = ""
) -> None:
    """Raise an error for a prompt that the pictures have no room for; needs no model.

    Parameters
    ----------
    tokenizer, prompt
        The model's tokenizer, and the text.
    chosen_rows
        Whether the tokens that the pictures draw are chosen: then the prompt may be longer.
    instead
        What else can be done with a prompt that is too long, such as ", or choose --rows".

    Raises
    ------
    PromptError
        If the prompt has fewer or more tokens than `PICTURE_TOKENS`.
    """
    fewest, most = PICTURE_TOKENS
    count = len(_tokenize(tokenizer, prompt))
    if count < fewest or (count > most and not chosen_rows):
        advice = "give a longer one" if count < fewest else f"give a shorter one{instead}"
        raise PromptError(
            f"the prompt has {count:,} token{'s' * (count != 1)}, and the pictures have room for "
            f"{fewest} to {most}; {advice}"
        )


def _tokenize(tokenizer: Any, text: str) -> list[int]:
    ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    return list(ids)


def _bos_token(tokenizer: Any) -> int:
    """Return the beginning-of-sequence token, or else the end-of-text one as in TransformerLens."""
    for token in (tokenizer.bos_token_id, tokenizer.eos_token_id):
        if token is not None:
            return int(token)
    raise ExtractError("this tokenizer has no beginning-of-sequence token; add --bos no")


def _end_tokens(model: Any, tokenizer: Any) -> set[int]:
    """Return the tokens that end a text."""
    ends: set[int] = set()
    for owner in (getattr(model, "generation_config", None), model.config, tokenizer):
        ids = getattr(owner, "eos_token_id", None)
        ends.update(ids if isinstance(ids, list | tuple) else [] if ids is None else [ids])
    return ends


def logits_of(model: Any, ids: Sequence[int]) -> torch.Tensor:
    """Return the logits of a model that is not wrapped by TransformerLens, [pos, vocabulary]."""
    with torch.inference_mode():
        # Without a cache every pass computes all positions, so no cached state can be out of date.
        tokens = torch.tensor([list(ids)], device=model.device)
        logits: torch.Tensor = model(input_ids=tokens, use_cache=False).logits[0]
    return logits.float().cpu()
