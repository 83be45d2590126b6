"""Skip tests whose libraries are not installed."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

__all__ = ["skip_without"]


def skip_without(library: str) -> None:
    """Skip a module of tests without a library, which `pytest.importorskip` would import now."""
    if find_spec(library) is None:
        pytest.skip(f"{library} is not installed", allow_module_level=True)
