"""What scenes are made of: pictures of tensors, a stage, and all that turns scenes into films."""
