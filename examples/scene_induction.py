"""Induction heads: a model reads a sentence and its beginning again, and copies. To make the film::

    python -m extract --model smollm2-packaged --no-latent --no-conversion --out twice.safetensors \
        --prompt "Two whales borrowed my umbrella. Two whales borrowed my"
    python render.py examples/scene_induction.py --trace twice.safetensors
"""

import numpy as np
from manim import DOWN, UL, UR, VGroup

import filmkit as kit
from filmkit import Label, Mark, Stage, beat, format_share, printable
from filmkit.core.language import _
from filmkit.core.quantities import cells_of, quantity


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
        self.facts |= {"last": words[-1], "copied": words[self.copied]}
        self.facts["start"] = " ".join(words[: self.copied])
        self.part("question", self.rounds([*words, "?"]))
        self.part("answer", self.rounds([*words, words[self.copied]]))
        self.first = self.add_guesses("first", self.copied, self.theme.muted)
        self.second = self.add_guesses("second", len(words), self.theme.accent)
        self.part("axes", kit.text_in(_("to\xa0→ from\xa0↓"), 1.2, colour=self.theme.muted))
        source = self.layer.computed("attention_at", distance=period - 1, count=self.copied)
        scores = self.scores = cells_of(self.trace, source)
        self.part("all", kit.Matrix(scores, kit.Norm.unit(), source))
        self.facts |= {"heads": str(scores.size), "many": str((scores > 0.5).sum())}
        layer = self.add_head("copies", _("finds the note"), scores, (-1, self.copied))
        below = attention_at(self.trace, 1, self.layer.count - 1)[:, :layer]
        self.add_head("helps", _("looks one word back"), below, (self.copied, self.copied - 1))

    def rounds(self, words):
        """Return the words of both rounds, the second below the first; the last one stands out."""
        labels = kit.LabelGroup(*(Label(word, size=0.075) for word in words))
        labels[-1].set_fill(self.theme.accent)
        return labels.arrange_in_grid(cols=self.period, buff=(0.35, 2))

    def add_guesses(self, name, count, colour):
        """Make parts of some first words and of the likeliest next ones; return a headline."""
        text, place = "".join(self.layer.words[:count]).strip(), self.layer.first + count - 1
        words = [printable(word) for word in self.trace.meta.top_tokens[place][:3]]
        shares = self.trace["top_probs"][place, :3]
        self.facts |= {name: words[0], f"{name}_share": format_share(shares[0])}
        self.part(f"{name}_text", kit.text_in(f"{text} …", 0.42 * self.frame.free.width, size=0.04))
        look = {"size": 0.038, "y_range": (0, 1), "write": format_share, "colour": colour}
        self.part(name, kit.Chart(shares, names=words, width=5, **look))
        line = _("probability that the next word is “{word}”", word=words[0])
        return self.headline_of(self.facts[f"{name}_share"], line)

    def add_head(self, name, title, scores, cell):
        """Make a part of the head with the largest score, and facts; return its layer."""
        head, layer = map(int, np.unravel_index(scores.argmax(), scores.shape))
        pattern = kit.head_matrix(self.layer.at(layer).head(head), "pattern", title=title)
        self.part(name, pattern)
        self.facts |= {f"{name}_layer": str(layer), f"{name}_score": format_share(scores.max())}
        self.facts[f"{name}_share"] = format_share(pattern.values[cell])
        return layer

    def look(self, share, line, *marks):
        """Show the head that copies, what is marked in it, and what that says."""
        figure = Label(self.facts[share], size=0.09, weight="semibold")
        self.part("said", VGroup(figure, kit.text_in(line, 4, size=0.042)).arrange(DOWN))
        look = {"tall": "axes .\n. copies\nsaid said", "titles": False, "words": "marked"}
        self.show("axes . said\n. copies said", marks=marks, **look)

    @beat
    def two_rounds(self):
        """A language model reads a sentence, and then its beginning once more. What comes next?"""
        self.show("question")

    @beat(ask="After just “{start}”, is “[{first}]” likelier or “[{copied}]”?", answer="first")
    def the_first_time(self):
        """“{first}”, though with {first_share} it is far from sure: no word can look ahead."""
        self.show("first_text\nfirst", headline=self.first)

    @beat
    def the_second_time(self):
        """The second time, “{second}” has {second_share}: only attention can have looked it up."""
        self.show("first_text second_text\nfirst second", headline=self.second)

    @beat(
        ask="To go on, does the last “{last}” look at [the first “{last}”] or at “[{copied}]”?",
        answer="copied",
    )
    def where_it_looks(self):
        """At “{copied}”, which came after the first “{last}”: {copies_share} of its attention."""
        line = _("of the attention of the last “{last}” goes to “{copied}”", **self.facts)
        self.look("copies_share", line, Mark("copies", -1, self.copied))

    @beat
    def a_line(self):
        """Each word of the second round looks at the word that followed it in the first, and that
        makes a line. The mean of its cells, {copies_score}, is the score of this head."""
        marks = (Mark("copies", self.period + n, n + 1) for n in range(self.copied))
        line = _("of the second round’s attention goes to what followed in the first")
        self.look("copies_score", line, *marks)

    @beat
    def all_heads(self):
        """This is the score of every head of the model. In [{many}] of {heads}, more than half of
        the attention is on that line. Heads that do this are called induction heads."""
        self.show("all", reveal="all", bars="all")
        self.wait_for("many")
        marks = tuple(Mark("all", *cell) for cell in np.argwhere(self.scores > 0.5))
        line = _("heads look mostly at what followed in the first round")
        words = self.headline_of(_("{many} of {heads}", **self.facts), line)
        self.show("all", marks=marks, bars="all", headline=words)

    @beat(ask="How can “{copied}” know that it came after “{last}”?")
    def its_helper(self):
        """In layer {helps_layer}, a head looks from “{copied}” one word back, with {helps_share},
        and notes that word. In layer [{copies_layer}], the last “{last}” looks for such a note."""
        mark = Mark("copies", -1, self.copied, label=Label(self.facts["last"], size=0.042))
        marks = Mark("helps", self.copied, self.copied - 1), mark
        self.show("helps copies", words="marked", marks=marks)
        self.wait_for("copies_layer")
        start, end = (mark.box(self.parts[mark.part].cells) for mark in marks)
        path = (start.right, start.y), (end.x, start.y), (end.x, end.top)
        wire = kit.Wire(path, colour=self.theme.highlight, width=self.theme.bold)
        note = Label(_("note: after “{last}”", **self.facts), size=0.038)
        self.play(kit.Draw(wire), kit.Appear(note.next_to(wire.get_corner(UL), UR, buff=0.15)))

    @beat
    def said_again(self):
        """All heads that follow the line, strongly or weakly, make the model say “{copied}”. No
        weight has changed: training made heads that copy, and the prompt tells them what."""
        self.show("answer")
        words = self.parts["answer"].whole[0]
        path = words[self.copied].get_bottom()[:2], words[-1].get_top()[:2]
        self.play(kit.Draw(kit.Wire(path, colour=self.theme.accent, width=5).scale(0.8)))
