"""Type checkers know the names of the kit: mypy reads this, nothing runs it.

`make lint` fails where a comment that excuses a mistake excuses none.
"""

from __future__ import annotations

from filmkit import Heatmap

Heatmap([[1]], width="wide")  # type: ignore[arg-type]
