"""A page to explore: the story of the film, with pictures that answer to the hand."""
