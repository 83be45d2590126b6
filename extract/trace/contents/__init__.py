"""What a trace holds: its metadata, names and shapes of its tensors, latents, reports."""
