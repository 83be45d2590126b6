"""Render scenes of the film: ``python render.py --help``."""

import sys

try:
    from filmkit.commands import main

    if __name__ == "__main__":
        main()
except ModuleNotFoundError as error:
    if (error.name or "").partition(".")[0] in ("extract", "filmkit", "scenes"):
        raise
    sys.exit(f"Error: {sys.executable} has no {error.name}; run make setup, then .venv/bin/python")
