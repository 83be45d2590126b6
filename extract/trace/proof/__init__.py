"""Proof of a trace: everything in it that follows from the rest, computed again."""
