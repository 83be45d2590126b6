"""The render engine: runs scenes and writes films, stills and contact sheets."""
