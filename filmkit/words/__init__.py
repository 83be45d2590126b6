"""Texts made from scenes and pictures: captions, scripts, speaker notes, alt texts."""
