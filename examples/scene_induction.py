"""Induction heads: a model reads a sentence and its beginning again, and copies. To make the film::

    python -m extract --model smollm2-packaged --no-latent --no-conversion --out twice.safetensors \
        --prompt "Two whales borrowed my umbrella. Two whales borrowed my"
    python render.py examples/scene_induction.py --trace twice.safetensors
"""

import numpy as np
from manim import DOWN, GrowFromEdge

import filmkit as kit
from filmkit import Label, Mark, Stage, beat, format_share, printable
from filmkit.core.language import _
from filmkit.core.quantities import cells_of, quantity


@quantity("mean attention at a distance", axes=("head", "layer"))
def attention_at(trace, distance, first):
    """Return how much heads (down) of layers (across) look back by `distance`, from row `first`."""
    rows, layers = np.arange(first, trace.meta.n_prompt), range(trace.meta.n_layers)
    return np.mean([trace.get("pattern", n)[:, rows, rows - distance] for n in layers], axis=2).T


class Induction(Stage):
    """A model reads a sentence twice: which heads look at the word that came next?"""

    title = "Heads that copy"
    tensors = ("pattern",)

    def prepare(self):
        words = [printable(word) for word in self.layer.words]
        self.copied = words.index(words[-1]) + 1  # it comes after the first time of the last word
        self.period = len(words) - self.copied
        if not self.period or words[self.period :] != words[: self.copied]:
            raise kit.StageError("no sentence begins again in this prompt: see the scene's file")
        self.facts["before"], self.facts["last"], copied = words[self.copied - 2 :][:3]
        self.facts |= {"start": " ".join(words[: self.copied]), "copied": copied}
        self.part("question", self.rounds([*words, "?"]))
        self.part("answer", self.rounds([*words, copied]))
        self.chart = self.guesses()
        first, period = self.layer.first, self.period
        source = self.layer.computed("attention_at", distance=period - 1, first=first + period)
        scores = self.scores = cells_of(self.trace, source)
        self.part("all", kit.Matrix(scores, kit.Norm.unit(), source))
        self.facts |= {"heads": str(scores.size), "many": str((scores > 0.5).sum())}
        self.facts["score"] = format_share(scores.max())
        self.best = self.add_head("copies", scores, (-1, self.copied))
        below = attention_at(self.trace, 1, first + 1)[:, : self.best[1]]
        self.add_head("helps", below, (self.copied, self.copied - 1))

    def rounds(self, words):
        """Return the words of both rounds, the second below the first; the last one stands out."""
        colours = {words[-1]: self.theme.accent}
        labels = [Label(word, size=0.075, colour=colours.get(word)) for word in words]
        return kit.LabelGroup(*labels).arrange_in_grid(cols=self.period, buff=(0.35, 1.2))

    def add_head(self, name, scores, cell):
        """Make a part of the head with the largest score, and facts; return its head and layer."""
        head, layer = map(int, np.unravel_index(scores.argmax(), scores.shape))
        title = _("layer {layer}, head {head}", layer=layer, head=head)
        pattern = kit.head_matrix(self.layer.at(layer).head(head), "pattern", title=title)
        self.part(name, pattern)
        self.facts |= {f"{name}_layer": str(layer), f"{name}_head": str(head)}
        self.facts[f"{name}_share"] = format_share(pattern.values[cell])
        return head, layer

    def guesses(self):
        """Return a chart of the likeliest next words, both times, and make facts of them."""
        places = [self.layer.first + self.copied - 1, self.layer.stop - 1]
        names = [printable(word) for n in places for word in self.trace.meta.top_tokens[n][:3]]
        shares = self.trace["top_probs"][places, :3].ravel()
        self.facts |= {"first": names[0], "second": names[3]}
        self.facts["first_share"], self.facts["second_share"] = map(format_share, shares[[0, 3]])
        box, colours = self.frame.free, [self.theme.muted] * 3 + [self.theme.accent] * 3
        look = {"size": 0.038, "y_range": (0, 1), "write": format_share}
        size = {"width": box.width, "height": 0.84 * box.height}
        return kit.Chart(shares, names=names, colour=colours, **look, **size).move_to(box.center)

    def grow(self, some, words):
        """Let some bars of the chart grow, with words below."""
        title = Label(words, size=0.045).next_to(self.chart.names[some], DOWN)
        news = self.chart.names[some], self.chart.numbers[some], title
        self.play(*map(kit.Appear, news), GrowFromEdge(self.chart.bars[some], DOWN))

    @beat
    def two_rounds(self):
        """A language model reads a sentence, and then its beginning once more. What comes next?"""
        self.show("question")

    @beat(ask="After just “{start}”, does a model expect [{first}] or [{copied}]?", answer="first")
    def the_first_time(self):
        """“{first}”, though with {first_share} it is far from sure. No word looks ahead, so nothing
        tells it yet how the sentence ends."""
        self.play(kit.Vanish(self.parts["question"].whole), kit.Appear(self.chart.axes))
        self.grow(slice(0, 3), _("the first time"))

    @beat
    def the_second_time(self):
        """The second time, “{second}” has {second_share}. Only attention carries anything from one
        word to another, so some heads must have looked it up."""
        self.grow(slice(3, 6), _("the second time"))

    @beat(
        ask="In “{prompt}”, at which word does the last “{last}” look most, in head {copies_head} "
        "of layer {copies_layer}: [{before}], [{last}] or [{copied}]?",
        answer="copied",
    )
    def where_it_looks(self):
        """At “{copied}”, which came after the first “{last}”: {copies_share} of its attention."""
        share = Label(self.facts["copies_share"], size=0.05)
        self.show("copies", marks=(Mark("copies", -1, self.copied, label=share),))

    @beat
    def a_line(self):
        """Each word of the second round looks at the word that followed it in the first, and that
        makes a line. The mean of its cells, {score}, is the score of this head."""
        line = np.eye(self.layer.count, k=1 - self.period)
        self.show("copies", focus={"copies": line})

    @beat
    def all_heads(self):
        """This is the score of every head of the model. In [{many}] of {heads}, more than half of
        the attention is on that line. Heads that do this are called induction heads."""
        self.show("all", reveal="all", bars="all")
        self.wait_for("many")
        mark = Mark("all", *self.best, label=Label(self.facts["score"], size=0.05))
        lit = {"all": np.where(self.scores > 0.5, 1, 0.4)}
        words = self.headline_of(_("{many} of {heads}", **self.facts), _("heads follow that line"))
        self.show("all", marks=(mark,), bars="all", lit=lit, headline=words)

    @beat(ask="The last “{last}” finds “{copied}”. How can “{copied}” tell what came before it?")
    def its_helper(self):
        """In layer {helps_layer}, a head looks from “{copied}” one word back, with {helps_share},
        and notes that word. In layer [{copies_layer}], the last “{last}” looks for such a note."""
        marks = Mark("helps", self.copied, self.copied - 1), Mark("copies", -1, self.copied)
        self.show("helps copies", marks=marks[:1])
        self.wait_for("copies_layer")
        self.show("helps copies", marks=marks)

    @beat
    def said_again(self):
        """All heads that follow the line, strongly or weakly, make the model say “{copied}”. No
        weight has changed: training made heads that copy, and the prompt tells them what."""
        self.show("answer")
