"""The command line: one module per command of ``render.py``, and ``show`` for notebooks."""
