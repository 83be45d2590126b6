"""Attention in plain NumPy: what it computes, and what its patterns do."""

from extract.attention.arithmetic import AttentionResult, attend

__all__ = ["AttentionResult", "attend"]
