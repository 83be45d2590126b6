"""Notes on screen about shared keys and values, which depend on how the model was trained."""

from __future__ import annotations

from dataclasses import dataclass

from extract.architectures import Scheme
from extract.sharing import MAX_GROUPS
from filmkit.mobjects.shared_view import SharedView

__all__ = ["SharingNotes", "sharing_notes"]


@dataclass(frozen=True)
class SharingNotes:
    """Notes of a scene about shared keys and values.

    Attributes
    ----------
    trained
        How the model was trained.
    rule
        What the shared keys and values are; one entry for each line.
    changed
        What is computed again.
    """

    trained: str
    rule: tuple[str, ...]
    changed: str


def sharing_notes(view: SharedView, scheme: Scheme) -> SharingNotes:
    """Return the notes for one model and one scheme, "mqa" or "gqa"."""
    shared, meta = view.shared, view.layer.trace.meta
    heads, own, groups = meta.n_heads, meta.n_kv_heads, shared.n_groups
    if own == heads:
        trained = "each head has keys and values of its own"
    elif shared.pooled:
        trained = f"this model was trained with {own} shared key/value heads"
    else:
        head = "head" if own == 1 else "heads"
        trained = f"this model was trained with {own} shared key/value {head}, not {heads}"
    if not shared.pooled:
        sets = "one set" if groups == 1 else f"{groups} sets"
        return SharingNotes(
            trained,
            rule=(f"this model’s own: {sets} for {heads} heads",),
            changed="nothing is changed: these are the model’s own patterns",
        )
    mean = f"each is the mean of {own // groups}, without training"
    rule: tuple[str, ...] = (mean,)
    if scheme == "gqa":
        equal_groups = f"{heads} heads in {groups} equal groups, the most up to {MAX_GROUPS}"
        rule = (equal_groups if groups > 1 else f"{heads} heads make no smaller equal groups", mean)
    return SharingNotes(trained, rule, changed="computed again with the shared keys and values")
