"""Facts that others published, each with its source: models, GPUs, schemes, patterns of GPT-2."""
