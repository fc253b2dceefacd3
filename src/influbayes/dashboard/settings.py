"""What the launcher hands to the app, and the options of the server without which the app does not show anything.

Takes words and Streamlit's options; knows no page.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DEFAULT_PORT = 8501
LOOPBACK = ("127.0.0.1", "localhost", "::1")
UPLOAD_MEGABYTES = 25

SAFE_OPTIONS: Mapping[str, Any] = {
    "server.maxUploadSize": UPLOAD_MEGABYTES,
    "server.maxMessageSize": 200,
    "server.headless": True,
    "server.enableXsrfProtection": True,
    "server.enableCORS": True,
    "server.enableStaticServing": False,
    "server.enableAgentApi": False,
    "server.fileWatcherType": "none",
    "server.runOnSave": False,
    "client.showErrorDetails": "none",
    "client.toolbarMode": "minimal",
    "browser.gatherUsageStats": False,
    "global.developmentMode": False,
}
"""Each is passed as a flag, which beats environment variables and configuration files, and compared when a view starts.

Streamlit's defaults would listen on every interface, take 200 MB and show tracebacks.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class DashboardSettings:
    """Where runs lie, where the server listens, and the hosts it answers."""

    runs: Path
    address: str
    port: int
    hosts: tuple[str, ...]
    behind_proxy: bool
    make_samples: bool


def add_app_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that the launcher and the app both read."""
    add = parser.add_argument
    add("--runs", default="runs", metavar="DIR", help="folder with run folders (default: runs)")
    add("--port", type=int, default=DEFAULT_PORT, metavar="N", help=f"port to listen on (default: {DEFAULT_PORT})")
    add("--address", default=LOOPBACK[0], metavar="IP", help="address to listen on (default: 127.0.0.1, this machine)")
    add("--host", action="append", default=[], metavar="NAME", help="host name that browsers ask for; repeatable")
    add("--behind-proxy", action="store_true", help="allow another address: a proxy ends HTTPS and asks who it is")
    add("--no-samples", action="store_true", help="make no sample runs where the folder holds none")


def read_settings(arguments: argparse.Namespace) -> DashboardSettings:
    """Return the settings that the options say."""
    return DashboardSettings(
        runs=Path(arguments.runs).absolute(),
        address=arguments.address,
        port=arguments.port,
        hosts=tuple(dict.fromkeys(["localhost", "127.0.0.1", *arguments.host])),
        behind_proxy=arguments.behind_proxy,
        make_samples=not arguments.no_samples,
    )


def parse_settings(words: Sequence[str]) -> DashboardSettings:
    """Return the settings from the words that the launcher passed on."""
    parser = argparse.ArgumentParser(prog="influbayes dashboard", add_help=False)
    add_app_options(parser)
    return read_settings(parser.parse_args(list(words)))


def list_server_options(settings: DashboardSettings) -> dict[str, Any]:
    """Return every option the server must run with."""
    return {
        "server.address": settings.address,
        "server.port": settings.port,
        "server.allowedHosts": list(settings.hosts),
        **SAFE_OPTIONS,
    }


def compare_options(wanted: Mapping[str, Any], found: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the options that the server does not run with, one sentence each."""
    return tuple(
        f"{name} is {found.get(name)!r}, not {value!r}."
        for name, value in wanted.items()
        if _normalise(found.get(name)) != _normalise(value)
    )


def _normalise(value: Any) -> Any:
    return sorted(value) if isinstance(value, (list, tuple)) else value
