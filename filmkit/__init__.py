"""What scenes are made of: pictures of tensors, a stage, and all that turns scenes into films.

The public names are those of ``__init__.pyi``::

    from filmkit import Appear, Heatmap, Stage, beat

Each is loaded when it is first used: importing :mod:`filmkit` itself does not import Manim. The
rooms inside (``filmkit.core``, ``filmkit.mobjects``, ...) hold more, which may change.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
