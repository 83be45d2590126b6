"""Every word that the script of the page to explore puts on it, in the language in use."""

from __future__ import annotations

from filmkit.core.language import N_, _
from filmkit.decks.page_words import page_words

__all__ = ["explore_words"]

WORDS = {
    "query": N_("query"),
    "key": N_("key"),
    "value": N_("value"),
    "product": N_("products"),
    "scores": N_("scores"),
    "pattern": N_("attention pattern"),
    "mixed": N_("sum"),
    "asks": N_("The query of “{query}” meets the key of “{key}”"),
    "added": N_(
        "{added} of {count} channels: {sum}. The last one adds {query} × {key} = {product}."
    ),
    "score": N_("The sum is {sum}; times {scale}, the score is {score}."),
    "scoreChanged": N_(
        "The sum is {sum}; times {scale}, and with what this model changes in its scores, "
        "the score is {score}."
    ),
    "scoreMasked": N_("The sum is {sum}; this model does not look back that far."),
    "without": N_(
        "Without them, the sum is off by {off}. "
        "This is not just their share: values differ in size, too."
    ),
    "withHidden": N_("Not drawn, but part of the sum: {what}, {share}."),
    "atTemperature": N_("At temperature {temperature}, not the model’s own of 1."),
    "masked": N_("This cell is masked: “{key}” comes after “{query}”, and no word looks ahead."),
    "rowOf": N_("How “{query}” shares out its attention"),
    "asAsked": N_("“{query}”, as in the question"),
    "head": N_("head {head}"),
    "headLooks": N_("Head {head}: “{query}” gives “{key}” {value}."),
    "movedIn": N_("attention that moved in head {head}"),
    "keptNumbers": N_("{count} numbers kept for each word and layer"),
    "moves": N_("{share} of the attention moves to other words"),
    "keptAndMoved": N_("{kept}; {moved}."),
    "sharedByAll": N_("This is multi-query attention (MQA)."),
    "sharedByGroups": N_("This is grouped-query attention (GQA)."),
    "sharedByNone": N_("This is multi-head attention (MHA)."),
    "asTrained": N_("{count}, as trained"),
    "trained": N_("This is how the model was trained."),
    "light": N_("Light"),
    "dark": N_("Dark"),
    "nothingMoves": N_("no attention moves"),
    "mha": N_("keys and values for each head (MHA)"),
    "gqa": N_("shared by groups of heads (GQA)"),
    "mqa": N_("one set for all heads (MQA)"),
    "mla": N_("one latent (MLA)"),
    "takes": N_("{gigabytes} GB"),
    "needsGpus": N_("{gigabytes} GB: {gpus} GPUs"),
    "fits": N_(
        "One GPU is full after {tokens} tokens. "
        "Reading this cache takes {time} ms for each new token."
    ),
    "sources": N_("Sizes: {model}. Memory: {gpu}."),
    "hypothetical": N_(
        "This model has no latent: the one shown here is hypothetical, in DeepSeek’s proportions."
    ),
    "cacheAlone": N_(
        "This is the cache alone, in numbers of 16 bits; the weights need memory, too."
    ),
    "way_hand": N_("your choice"),
    "way_last": N_("the last words"),
    "way_first": N_("the first and the last words"),
    "way_best": N_("the best words of each head"),
    "held": N_("{number} of {count} words hold {share} of the attention of {heads} heads."),
    "guessed": N_("your guess"),
    "right": N_("right"),
    "guessedRight": N_("your guess, and right"),
    "notLoaded": N_("{what} could not be loaded; is it beside this page?"),
}
"""By the names that the script asks for; names in braces are filled in by it."""


def explore_words() -> dict[str, str]:
    """Return the words of the page by their names, with those that it shares with decks."""
    return page_words() | {name: _(text) for name, text in WORDS.items()}
