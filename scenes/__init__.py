"""The scenes of the film, each in a folder of its own."""
