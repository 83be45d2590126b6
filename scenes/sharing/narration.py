"""What is said about shared keys and values: it depends on how the model was trained."""

from __future__ import annotations

from dataclasses import dataclass

from extract.architectures import Scheme
from extract.sharing import MAX_GROUPS
from filmkit.core.numbers import format_number, format_share, short
from filmkit.mobjects.shared_view import SharedView
from scenes.sharing.pictures import Price

__all__ = ["Narration", "narration"]


@dataclass(frozen=True)
class Narration:
    """Words of a scene.

    Attributes
    ----------
    trained
        How the model was trained.
    rule
        What the shared keys and values are.
    changed
        What is computed again.
    facts
        Sentences of the narration, by beat.
    """

    trained: str
    rule: tuple[str, ...]
    changed: str
    facts: dict[str, str]


def narration(view: SharedView, scheme: Scheme, price: Price) -> Narration:
    """The words for one model and one scheme."""
    shared, meta = view.shared, view.layer.trace.meta
    heads, own, groups = meta.n_heads, meta.n_kv_heads, shared.n_groups
    per_group = heads // groups
    sets = "one set" if groups == 1 else f"{groups} sets"
    name = "Multi-query attention" if scheme == "mqa" else "Grouped-query attention"
    if own == heads:
        trained = "each head has keys and values of its own"
        before = f"Each of {heads} heads has its own keys and values, all cached."
    elif shared.pooled:
        trained = f"this model was trained with {own} shared key/value heads"
        before = f"This model’s {heads} heads already share {own} sets of keys and values."
    else:
        head = "head" if own == 1 else "heads"
        trained = f"this model was trained with {own} shared key/value {head}, not {heads}"
        before = (
            f"Full attention gives each of {heads} heads its own keys and values. "
            f"This model has {own}."
        )
    if groups == 1:
        share = f"{name} keeps one set for all heads."
    else:
        share = f"{name} keeps {sets}, and {per_group} heads read each."
    if not shared.pooled:
        rule: tuple[str, ...] = (f"this model’s own: {sets} for {heads} heads",)
        read = "The queries still differ, so every head keeps a pattern of its own."
        changed = "nothing is changed: these are the model’s own patterns"
        moved = "The same keys with other queries give other patterns."
    else:
        share += f" Here {'it' if groups == 1 else 'each'} is the mean of {own // groups}."
        mean = f"each is the mean of {own // groups}, without training"
        rule = (mean,)
        if scheme == "gqa":
            said = f"{heads} heads in {groups} equal groups, the most up to {MAX_GROUPS}"
            rule = (said if groups > 1 else f"{heads} heads make no smaller equal groups", mean)
        read = "Every head now reads the shared keys: scores, pattern and mix are computed again."
        changed = "computed again with the shared keys and values"
        moved = (
            f"{format_share(shared.moved.mean)} of the attention moves to other words. "
            "Training has to make up for that."
        )
    full, left = (n * (meta.d_qk + meta.d_v) for n in (heads, groups))
    cached = (
        f"For each token, this layer caches {left:,} numbers instead of {full:,}: "
        f"{short(heads / groups)} times fewer."
    )
    kept = price.kept
    worth = (
        f"At DeepSeek-R1’s size, {format_number(kept['mha'].size() / 1e6, 2)} megabytes a token "
        f"become {format_number(kept[scheme].size() / 1e3)} kilobytes. But models trained that way "
        "scored lower."
    )
    facts = {
        "before": before,
        "share": share,
        "read": read,
        "moved": moved,
        "cached": cached,
        "price": worth,
    }
    return Narration(trained, rule, changed, facts)
