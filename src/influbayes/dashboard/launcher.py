"""Entry of the dashboard: `python -m influbayes.dashboard` serves it on this machine, with every safe option set.

Takes command-line words; knows exit codes and Streamlit's flags; shows nothing itself.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib.resources import as_file, files
from importlib.util import find_spec
from typing import Any

from influbayes.dashboard.settings import (
    LOOPBACK,
    DashboardSettings,
    add_app_options,
    list_server_options,
    read_settings,
)
from influbayes.entry.running import run_entry
from influbayes.errors import UsageError

MISSING = 'The dashboard needs Streamlit and Plotly: pip install "influbayes[dashboard]" brings them.'


def main(argv: Sequence[str] | None = None) -> int:
    """Run `influbayes dashboard` and return its exit code: 0 stopped, 1 a defect of ours, 2 the call is off."""
    words = list(sys.argv[1:] if argv is None else argv)
    return run_entry(build_parser(), words, work=lambda arguments, command: serve(read_settings(arguments), words))


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of `influbayes dashboard`; starting it imports nothing heavy."""
    parser = argparse.ArgumentParser(
        prog="influbayes dashboard",
        description="Shows run folders in a browser: overview, conversion, returns, attribution, plan, and uploads.",
        epilog="Exit codes: 0 stopped, 2 wrong call.",
    )
    add_app_options(parser)
    return parser


def serve(settings: DashboardSettings, words: Sequence[str]) -> int:
    """Serve until stopped; return 0.

    Raises
    ------
    UsageError
        Streamlit is missing, the port is none, or the address is not of this machine alone and no proxy is said.
    """
    check_settings(settings)
    if find_spec("streamlit") is None or find_spec("plotly") is None:
        raise UsageError(MISSING)
    from streamlit.web import cli

    with as_file(files("influbayes.dashboard.script").joinpath("start.py")) as script:
        print(f"influbayes dashboard: http://{settings.address}:{settings.port} (stop with Ctrl-C)", flush=True)
        cli.main(["run", str(script), *make_flags(settings), "--", *words], standalone_mode=False)
    return 0


def check_settings(settings: DashboardSettings) -> None:
    """Refuse an address that others can reach, unless a proxy stands before it, and a port that is none."""
    if settings.address not in LOOPBACK and not settings.behind_proxy:
        raise UsageError(
            f"--address {settings.address}: anyone who reaches it could read every run, since the dashboard asks for "
            "no password. Put a proxy that does before it and say --behind-proxy, or leave the address out."
        )
    if not 1 <= settings.port <= 65535:
        raise UsageError(f"--port {settings.port}: a port is a number from 1 to 65535.")


def make_flags(settings: DashboardSettings) -> list[str]:
    """Return the options of the server as flags; a list is its flag repeated."""
    flags: list[str] = []
    for name, value in list_server_options(settings).items():
        values = value if isinstance(value, list) else [value]
        flags += [f"--{name}={_write(each)}" for each in values]
    return flags


def _write(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
