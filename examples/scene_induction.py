"""Induction heads: a model reads a sentence and its beginning again, and copies. To make the film::

    python -m extract --model smollm2-packaged --no-latent --no-conversion --out twice.safetensors \
        --prompt "Two whales borrowed my umbrella. Two whales borrowed my"
    python render.py examples/scene_induction.py --trace twice.safetensors
"""

import numpy as np
from manim import DOWN, LEFT, UP, Arrow, Create, CurvedArrow, GrowArrow, VGroup

import filmkit as kit
from filmkit import Label, Mark, Stage, beat, cells_of, format_share, printable, quantity
from filmkit.core.language import _


@quantity("mean attention at a distance", axes=("head", "layer"))
def attention_at(trace, distance, count):
    """Return how much heads (down) of layers (across) look back by `distance`, in the last rows."""
    rows, layers = np.arange(-count, 0) + trace.meta.n_prompt, range(trace.meta.n_layers)
    return np.mean([trace.get("pattern", n)[:, rows, rows - distance] for n in layers], axis=2).T


class Induction(Stage):
    """A model reads a sentence twice: which heads look at the word that came next?"""

    title = "Heads that copy"
    tensors = ("pattern",)

    def prepare(self):
        words = [printable(word) for word in self.layer.words]
        self.copied = words.index(words[-1]) + 1  # it comes after the first time of the last word
        self.period = period = len(words) - self.copied
        if not period or words[period:] != words[: self.copied]:
            raise kit.StageError("no sentence begins again in this prompt: see the scene's file")
        self.facts |= {"last": words[-1], "start": " ".join(words[: self.copied])}
        self.part("question", self.rounds(*words, "?"))
        self.part("answer", self.rounds(*words, words[self.copied]))
        self.add_guesses("first", self.copied, self.theme.muted)
        self.add_guesses("second", len(words), self.theme.accent)
        self.part("axes", kit.text_in(_("to\xa0→ from\xa0↓"), 1.2, colour=self.theme.muted))
        source = self.layer.computed("attention_at", distance=period - 1, count=self.copied)
        scores = cells_of(self.trace, source)
        self.part("all", kit.Matrix(scores, kit.Norm.unit(), source))
        self.strong = np.argwhere(scores > 0.5)
        self.facts |= {"heads": str(scores.size), "many": str(len(self.strong))}
        head, layer = np.argwhere(scores == scores.max())[0].tolist()
        pattern = kit.head_matrix(self.layer.at(layer).head(head), "pattern")
        self.part("copies", pattern)
        helper = attention_at(self.trace, 1, self.layer.count - 1)[:, :layer].max(axis=0).argmax()
        self.facts |= {"layer": str(layer), "helper": str(helper), "copied": words[self.copied]}
        self.facts["share"] = format_share(pattern.values[-1, self.copied])
        self.facts["score"] = format_share(scores.max())

    def rounds(self, *words):
        """Return the words of both rounds, the second below the first; the last one stands out."""
        bright = {words[-1]: self.theme.accent}
        labels = (Label(word, size=0.075, colour=bright.get(word)) for word in words)
        return kit.LabelGroup(*labels).arrange_in_grid(cols=self.period, buff=(0.35, 2))

    def add_guesses(self, name, count, colour):
        """Make parts, and facts, of some first words and of the likeliest next ones."""
        text, place = "".join(self.layer.words[:count]).strip(), self.layer.first + count - 1
        words = [printable(word) for word in self.trace.meta.top_tokens[place][:3]]
        shares = self.trace["top_probs"][place, :3]
        self.facts |= {name: words[0], f"{name}_share": format_share(shares[0])}
        self.part(f"{name}_text", kit.text_in(f"{text} …", 0.42 * self.frame.free.width, size=0.04))
        look = {"size": 0.038, "y_range": (0, 1), "write": format_share, "colour": colour}
        self.part(name, kit.Chart(shares, names=words, width=5, **look))

    def look(self, share, line, *cells):
        """Show the head that copies, frames around some cells of it, and what they say."""
        figure = Label(self.facts[share], size=0.09, weight="semibold")
        self.part("said", VGroup(figure, kit.text_in(line, 4, size=0.042)).arrange(DOWN))
        look = {"tall": "axes .\n. copies\nsaid said", "titles": False, "words": "marked"}
        marks = tuple(Mark("copies", *cell) for cell in cells)
        self.show("axes . said\n. copies said", marks=marks, **look)

    def draw(self, start, end, angle, line, side):
        """Draw an arrow from a point to another one, and words beside it."""
        arrow = CurvedArrow(start, end, angle=angle, color=self.theme.highlight)
        label = Label(line, size=0.042, colour=self.theme.highlight).next_to(arrow, side)
        self.play(Create(arrow), kit.Appear(label))

    @beat
    def two_rounds(self):
        """A language model reads a sentence, and then its beginning once more. What comes next?"""
        self.show("question")

    @beat(ask="After just “{start}”, is “[{first}]” likelier or “[{copied}]”?", answer="first")
    def the_first_time(self):
        """“{first}”, though with {first_share} it is far from sure: no word can look ahead."""
        line = _("at most: the model has no clear favourite")
        words = self.headline_of(self.facts["first_share"], line)
        self.show("first_text\nfirst", headline=words)

    @beat
    def the_second_time(self):
        """The second time, “{second}” has {second_share}: only attention can have looked it up."""
        line = _("for “{second}”, once the model has read it", **self.facts)
        words = self.headline_of(self.facts["second_share"], line)
        self.show("first_text second_text\nfirst second", headline=words)

    @beat(
        ask="Does the last “{last}” look at [the first “{last}”] or “[{copied}]”?", answer="copied"
    )
    def where_it_looks(self):
        """At “{copied}”, which came after the first “{last}”: {share} of its attention."""
        line = _("of the attention of the last “{last}” goes to “{copied}”", **self.facts)
        self.look("share", line, (-1, self.copied))

    @beat
    def a_line(self):
        """Each word of the second round looks at the word that followed it in the first, and that
        makes a line. The mean of its cells, {score}, is the score of this head."""
        line = _("of their attention, on average, goes to what came next the first time")
        self.look("score", line, *((self.period + n, n + 1) for n in range(self.copied)))

    @beat
    def all_heads(self):
        """This is the score of every head of the model. In [{many}] of {heads}, more than half of
        the attention is on that line. Heads that do this are called induction heads."""
        self.show("all", reveal="all", bars="all")
        self.wait_for("many")
        marks = tuple(Mark("all", *cell) for cell in self.strong)
        line = _("heads give over half to what came next the first time")
        words = self.headline_of(_("{many} of {heads}", **self.facts), line)
        self.show("all", marks=marks, bars="all", headline=words)

    @beat(ask="How can “{copied}” know that it came after “{last}”?")
    def its_helper(self):
        """In layer {helper}, a head looks one word back: it notes at “{copied}” what came before.
        In layer [{layer}], the last “{last}” looks for such a note."""
        self.show("question")
        words = self.parts["question"].whole[0]
        note = Label(_("after “{last}”", **self.facts), size=0.055, colour=self.theme.highlight)
        self.play(kit.Appear(note.next_to(words[self.copied], DOWN)))
        start, end = (words[self.copied - n].get_top() + 0.1 * UP for n in (0, 1))
        self.draw(start, end, 2, _("layer {helper} looks one word back", **self.facts), UP)
        self.wait_for("layer")
        start, end = words[-2].get_top() + 0.1 * UP, note.get_left() + 0.1 * LEFT
        self.draw(start, end, -1, _("layer {layer} finds the note", **self.facts), LEFT)

    @beat
    def said_again(self):
        """All heads that follow the line, strongly or weakly, make the model say “{copied}”. No
        weight has changed: training made heads that copy, and the prompt tells them what."""
        self.show("answer")
        read, said = (self.parts["answer"].whole[0][n] for n in (self.copied, -1))
        self.play(GrowArrow(Arrow(read.get_bottom(), said.get_top(), color=self.theme.accent)))
