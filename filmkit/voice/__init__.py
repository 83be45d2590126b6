"""Voices: recordings and speaking programs, which set the time of a film and are heard in it."""
