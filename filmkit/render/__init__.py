"""The render engine: runs scenes and writes films, stills and contact sheets."""

from filmkit.core.manim_settings import ignore_manim_settings

# Before a module here imports Manim, in this process and in every one that draws.
ignore_manim_settings()
