"""Tools for developers of this project: documentation, catalogues, checks of pictures."""
