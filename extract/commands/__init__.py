"""Parts of ``python -m extract``: its options, its errors, its progress and its tables."""
