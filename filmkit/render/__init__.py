"""The render engine: runs scenes and writes their pictures to files."""
