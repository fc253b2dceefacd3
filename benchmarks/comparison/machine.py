"""What the numbers were measured on: processor, cores, memory, system, versions. No host name, no path."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = ("influbayes", "numpy", "scipy", "numba", "pymc", "nutpie", "bambi", "statsmodels")


def describe_machine(cores: int) -> dict[str, str]:
    """Return processor, memory, system and package versions as texts."""
    return {
        "processor": _name_processor(),
        "cores": f"{cores} of {os.cpu_count()} cores used",
        "memory": f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 1024**3:.0f} GiB",
        "system": f"{_name_system()}, {platform.machine()}",
        "versions": ", ".join([f"Python {platform.python_version()}", *_list_versions()]),
    }


def _name_processor() -> str:
    listed = Path("/proc/cpuinfo")
    lines = listed.read_text(encoding="utf-8").splitlines() if listed.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown processor"


def _name_system() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return f"{platform.system()} {platform.release()}"


def _list_versions() -> list[str]:
    found = []
    for package in PACKAGES:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    return found
