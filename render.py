"""Render scenes of the film: ``python render.py --help``."""

from scenes.engine.cli import main

if __name__ == "__main__":
    main()
