"""The conversion of a whole model into multi-head latent attention, fitted, healed, measured."""
