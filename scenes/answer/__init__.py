"""The answer of the film: one latent for all heads, how such models score, and the last word."""
