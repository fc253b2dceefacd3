"""How the dashboard is served: safe options as flags, compared again by the app; other addresses refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from influbayes.cli import main as run_command
from influbayes.dashboard.launcher import build_parser, check_settings, main, make_flags
from influbayes.dashboard.settings import (
    SAFE_OPTIONS,
    DashboardSettings,
    compare_options,
    list_server_options,
    parse_settings,
    read_settings,
)
from influbayes.errors import UsageError

MEASURED = {
    "server.address": "127.0.0.1",
    "server.allowedHosts": ["localhost", "127.0.0.1"],
    "server.maxUploadSize": 25,
    "server.headless": True,
    "server.enableXsrfProtection": True,
    "server.enableCORS": True,
    "server.enableStaticServing": False,
    "server.enableAgentApi": False,
    "server.fileWatcherType": "none",
    "client.showErrorDetails": "none",
    "browser.gatherUsageStats": False,
}


def settle(*words: str) -> DashboardSettings:
    return read_settings(build_parser().parse_args(list(words)))


def test_the_server_runs_with_every_option_that_was_found_to_be_needed() -> None:
    options = list_server_options(settle())
    assert {name: options[name] for name in MEASURED} == MEASURED


def test_each_option_is_a_flag_and_a_list_repeats_it() -> None:
    flags = make_flags(settle("--host", "numbers.example.com"))
    assert flags.count("--server.allowedHosts=numbers.example.com") == 1
    assert len([flag for flag in flags if flag.startswith("--server.allowedHosts=")]) == 3
    assert {"--server.address=127.0.0.1", "--server.enableXsrfProtection=true", "--server.maxUploadSize=25"} <= set(
        flags
    )


def test_every_flag_is_an_option_of_the_installed_streamlit() -> None:
    from streamlit import config

    known = config.get_config_options()
    assert [name for name in list_server_options(settle()) if name not in known] == []


@pytest.mark.parametrize("address", ["0.0.0.0", "192.168.1.20", "::"])
def test_an_address_that_others_reach_is_refused_without_a_proxy(
    address: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--address", address]) == 2
    said = capsys.readouterr().err
    assert f"--address {address}: anyone who reaches it could read every run" in said
    assert "--behind-proxy" in said
    check_settings(settle("--address", address, "--behind-proxy"))


@pytest.mark.parametrize("address", ["127.0.0.1", "localhost", "::1"])
def test_this_machine_alone_needs_no_proxy(address: str) -> None:
    check_settings(settle("--address", address))


def test_a_port_that_is_none_is_refused() -> None:
    with pytest.raises(UsageError, match="a port is a number from 1 to 65535"):
        check_settings(settle("--port", "70000"))


def test_the_command_line_has_the_entry(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["dashboard", "--address", "10.0.0.1"]) == 2
    assert "influbayes dashboard: --address 10.0.0.1" in capsys.readouterr().err
    run_command(["--help"])
    assert "dashboard" in capsys.readouterr().out


def test_a_difference_between_options_wanted_and_found_is_said() -> None:
    wanted = list_server_options(settle())
    assert compare_options(wanted, {**wanted, "server.allowedHosts": ["127.0.0.1", "localhost"]}) == ()
    found = {**wanted, "server.address": "0.0.0.0", "client.showErrorDetails": "full"}
    assert compare_options(wanted, found) == (
        "server.address is '0.0.0.0', not '127.0.0.1'.",
        "client.showErrorDetails is 'full', not 'none'.",
    )
    assert set(SAFE_OPTIONS) <= set(wanted)


def test_the_app_reads_what_the_launcher_passes_on(tmp_path: Path) -> None:
    words = ["--runs", str(tmp_path), "--port", "9000", "--no-samples"]
    assert parse_settings(words) == settle(*words)
    assert parse_settings(words).runs == tmp_path
