"""Files that come with the project, and the folder for those that the user extracts.

In a checkout they are in the folder ``assets`` beside the packages; a wheel holds them inside the
package ``extract``.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from platformdirs import user_data_path

__all__ = ["asset", "installing", "traces_folder"]

_BESIDE = Path(__file__).resolve().parents[2] / "assets"
_INSIDE = Path(str(files("extract"))) / "assets"


def asset(name: str) -> Path:
    """Return the path of a file that comes with the project.

    Parameters
    ----------
    name
        Its path inside ``assets``, such as "calibration.txt".
    """
    return (_INSIDE if _INSIDE.is_dir() else _BESIDE) / name


def traces_folder() -> Path:
    """Return the folder for traces that the user extracts; it need not exist yet.

    Where the project is installed and the user has no home, it is in the current folder.
    """
    if not _INSIDE.is_dir():
        return _BESIDE / "traces"
    try:
        return user_data_path("attention-film", appauthor=False) / "traces"
    except RuntimeError:
        return Path("traces")


def installing(extra: str) -> str:
    """Return the command that installs an extra of the project, such as "voice"."""
    if _INSIDE.is_dir():
        return f"pip install 'attention-film[{extra}]'"
    return f"pip install -e '.[{extra}]'"
