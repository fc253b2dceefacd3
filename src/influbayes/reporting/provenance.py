"""Makes the record of what made a result: versions of Python and of the packages the numbers depend on.

Takes nothing; reads what is installed. Knows no study.
"""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

_PACKAGES = (
    "influbayes",
    "arviz",
    "arviz-base",
    "arviz-stats",
    "matplotlib",
    "netCDF4",
    "numba",
    "numpy",
    "nutpie",
    "pandas",
    "pymc",
    "pytensor",
    "scipy",
    "xarray",
)


def list_versions() -> dict[str, str | None]:
    """Return package -> installed version, None where it is not installed; "python" is the interpreter."""
    return {"python": platform.python_version(), **{name: _find_version(name) for name in _PACKAGES}}


def _find_version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
