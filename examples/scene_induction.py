"""Induction heads: a model reads a sentence and its beginning again, and copies. To make the film::

    python -m extract --model smollm2-packaged --no-latent --no-conversion --out twice.safetensors \
        --prompt "Two whales borrowed my umbrella. Two whales borrowed my"
    python render.py examples/scene_induction.py --trace twice.safetensors
"""

import manim as mn
import numpy as np

import filmkit as kit
from filmkit import Label, Stage, beat, format_share, printable
from filmkit.core.language import _

SHARES = {"y_range": (0, 1), "write": format_share, "size": 0.038, "width": 5}


def attention_at(trace, distance, count):
    """Return how much each head (layer, head) looks back by `distance`, on average of words."""
    rows, layers = np.arange(-count, 0) + trace.meta.n_prompt, range(trace.meta.n_layers)
    return np.mean([trace.get("pattern", n)[:, rows, rows - distance] for n in layers], axis=2)


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
        start = "\xa0".join(words[: self.copied])
        self.facts |= {"last": words[-1], "next": words[self.copied], "start": start}
        asked = Label("?", size=0.075, colour=self.theme.accent)
        rounds = kit.LabelGroup(*(Label(word, size=0.075) for word in words), asked)
        self.part("rounds", rounds.arrange_in_grid(cols=period, buff=(0.35, 2)))
        before = "".join(self.layer.words[:period]).strip()
        self.part("before", kit.text_in(before, 0.42 * self.frame.free.width, size=0.042))
        self.add_guesses("first", self.layer.first + self.copied - 1, self.theme.muted)
        self.add_guesses("second", self.layer.stop - 1, self.theme.accent)
        self.scores = scores = attention_at(self.trace, period - 1, self.copied)
        layer, head = np.argwhere(scores == scores.max())[0].tolist()
        self.pattern = self.layer.at(layer).head(head).pattern
        helper = attention_at(self.trace, 1, self.layer.count - 1)[:layer].max(axis=1).argmax()
        self.facts |= {"layer": str(layer), "helper": str(helper), "heads": str(scores.size)}
        self.facts |= {"score": format_share(scores.max()), "many": str((scores > 0.5).sum())}
        self.facts["share"] = format_share(self.pattern[-1, self.copied])
        look = SHARES | {"xs": (-4, scores.size + 3), "x": _("heads, layer by layer")}
        self.part("all", kit.Chart(lines={_("half"): (0.5, 0.5)}, **look))

    def add_guesses(self, name, place, colour):
        """Make parts, and facts, of the likeliest words after a place of the prompt."""
        words = [printable(word) for word in self.trace.meta.top_tokens[place][:3]]
        shares = self.trace["top_probs"][place, :3]
        self.facts |= {name: words[0], f"{name}_share": format_share(shares[0])}
        self.part(name, Label(f"{self.facts['start']} …", size=0.042))
        self.part(f"{name}_guesses", kit.Chart(shares, names=words, colour=colour, **SHARES))

    def look(self, share, line, first):
        """Show what some words, and all after them, look at: cones as bright as attention."""
        self.show("rounds", headline=self.headline_of(self.facts[share], line))
        words, cones = self.parts["rounds"].whole[0], []
        for row in range(first, self.layer.count):
            for word, attention in enumerate(self.pattern[row, : self.period]):
                ends = (words[word].get_corner(n) + 0.1 * mn.DOWN for n in (mn.DL, mn.DR))
                cone = mn.Polygon(words[row].get_top() + 0.1 * mn.UP, *ends, stroke_width=0)
                cones.append(kit.Appear(cone.set_fill(self.theme.pattern, attention)))
        self.play(mn.LaggedStart(*cones, lag_ratio=0.1, run_time=len(cones) / 4))

    def draw(self, word, end, side, angle, line):
        """Draw an arrow from the top of a word to a side of something, and a line of text there."""
        ends = word.get_top() + 0.1 * mn.UP, end.get_edge_center(side) + 0.1 * side
        arrow = mn.CurvedArrow(*ends, angle=angle, color=self.theme.highlight)
        label = Label(line, size=0.042, colour=self.theme.highlight).next_to(arrow, side)
        self.play(mn.Create(arrow), kit.Appear(label.shift_onto_screen()), run_time=2)

    @beat
    def two_rounds(self):
        """A language model reads a sentence, and then its beginning once more. What comes next?"""
        self.show("rounds")

    @beat(ask="After just “{start}”, is “[{first}]” likelier or “[{next}]”?", answer="first")
    def the_first_time(self):
        """“{first}”, though with {first_share} it is far from sure: no word can look ahead."""
        line = _("the likeliest next word has {first_share}", **self.facts)
        self.show("first\nfirst_guesses", headline=self.headline_of(_("No favourite"), line))

    @beat
    def the_second_time(self):
        """The second time, “{second}” has {second_share}: only attention can have looked it up."""
        line = _("for “{second}”, once the model has read it", **self.facts)
        words = self.headline_of(self.facts["second_share"], line)
        tall = "first\nfirst_guesses\nbefore\nsecond\nsecond_guesses"
        self.show(". before\nfirst second\nfirst_guesses second_guesses", tall=tall, headline=words)

    @beat(ask="Does the last “{last}” look at [the first “{last}”] or “[{next}]”?", answer="next")
    def where_it_looks(self):
        """At “{next}”, which came after the first “{last}”: {share} of its attention."""
        line = _("of one head’s attention goes from the last “{last}” to “{next}”", **self.facts)
        self.look("share", line, self.layer.count - 1)

    @beat
    def one_word_on(self):
        """In one head of layer {layer}, each word of the second round looks at the word that
        followed it in the first. The mean, {score}, is the induction score of this head."""
        line = _("of this head’s attention goes to what came next the first time, on average")
        self.look("score", line, self.period)

    @beat
    def all_heads(self):
        """This is the score of every head of the model. In [{many}] of {heads}, more than half of
        the attention is on what came next. Heads that do this are called induction heads."""
        line = _("heads give over half of their attention to what came next the first time")
        self.show("all", headline=self.headline_of(_("{many} of {heads}", **self.facts), line))
        at, scores = self.parts["all"].whole[0].axes.at, self.scores.ravel()
        dots = [mn.Dot([*at(*head), 0], 0.06, color=self.theme.muted) for head in enumerate(scores)]
        self.play(mn.LaggedStart(*map(kit.Appear, dots), lag_ratio=0.01, run_time=3))
        self.wait_for("many")
        strong = (dots[n].copy().scale(1.6) for n in np.flatnonzero(scores > 0.5))
        self.play(kit.Appear(kit.glow(mn.VGroup(*strong).set_color(self.theme.accent))))

    @beat(ask="How can “{next}” know that it came after “{last}”?")
    def its_helper(self):
        """In layer {helper}, a head looks one word back: it notes at “{next}” what came before.
        In layer [{layer}], the last “{last}” looks for such a note."""
        self.show("rounds")
        words = self.parts["rounds"].whole[0]
        before, read = words[self.copied - 1 : self.copied + 1]
        note = Label(_("after “{last}”", **self.facts), size=0.05).next_to(read, mn.DOWN)
        frame = mn.SurroundingRectangle(note, color=self.theme.highlight, corner_radius=0.1)
        self.draw(read, before, mn.UP, 2, _("a head in layer {helper} looks back", **self.facts))
        self.play(kit.Appear(note), kit.Appear(frame), run_time=2)
        self.wait_for("layer")
        self.draw(words[-2], frame, mn.LEFT, -1, _("one in layer {layer} finds it", **self.facts))

    @beat
    def said_again(self):
        """All heads that look there, strongly or weakly, make the model say “{next}”. No
        weight has changed: training made heads that copy, and the prompt tells them what."""
        self.show("rounds")
        words = self.parts["rounds"].whole[0]
        read, below = words[self.copied], words[self.period].get_center() - words[0].get_center()
        said = read.copy().set_color(self.theme.accent).shift(below)
        self.play(mn.GrowArrow(mn.Arrow(read.get_bottom(), said.get_top(), color=said.get_color())))
        self.play(kit.Vanish(words[-1]), kit.MoveFromCopy(read, said, run_time=4))
