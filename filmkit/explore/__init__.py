"""A page to explore: the story of the film, with pictures that readers change by hand."""
