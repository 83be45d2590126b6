"""The question of the film: can a model remember less, and think as well?"""
