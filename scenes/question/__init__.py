"""The question of the film: can a model remember less and still think as well?"""
