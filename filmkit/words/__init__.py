"""Words beside the pictures: captions, scripts, alt texts."""
