"""Mobjects and their layouts: panels, heads, stacks of heads, caches, charts and marks."""
