"""Tools for developers of this project: benchmark, documentation, pictures of the README."""
