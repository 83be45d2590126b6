"""Measures of pictures (``render.py check``), and catalogues for translators."""
