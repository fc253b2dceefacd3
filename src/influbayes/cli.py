"""The console script `influbayes`: picks the entry and hands it the rest of the words."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module

ENTRIES = {
    "fit": "which tiers, regions and creators bring purchases: fit a table of posts and write a report",
    "roas": "what influencers return on their payouts, and incrementally: read a ledger and write a report",
    "attribute": "which channels stood on the way to a sign-up, by every rule, beside a model and a baseline",
    "plan": "which posts to buy for a budget, from a finished run and the fees",
    "dashboard": "look at runs, filter them and upload tables in a browser",
    "calibrate": "check that the engine's intervals hold what they promise, by simulation",
    "simulate": "write a simulated table with a known truth",
}
USAGE = 2


def main(argv: Sequence[str] | None = None) -> int:
    """Run the entry named by the first word and return its exit code; 2 where there is none."""
    words = list(sys.argv[1:] if argv is None else argv)
    if not words or words[0] in ("-h", "--help"):
        print(say_usage())
        return 0 if words else USAGE
    if words[0] == "--version":
        from influbayes import __version__

        print(f"influbayes {__version__}")
        return 0
    if words[0] not in ENTRIES:
        print(f"influbayes: no command {words[0]!r}. There are: {', '.join(ENTRIES)}.", file=sys.stderr)
        return USAGE
    module = "dashboard.launcher" if words[0] == "dashboard" else words[0]
    code: int = import_module(f"influbayes.{module}").main(words[1:])
    return code


def say_usage() -> str:
    """Return the help text: one line an entry."""
    lines = [f"  {name:10} {text}" for name, text in ENTRIES.items()]
    return "\n".join(["usage: influbayes COMMAND [OPTIONS]", "", *lines, "", "influbayes COMMAND --help tells more."])


if __name__ == "__main__":
    sys.exit(main())
