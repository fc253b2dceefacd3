"""Makes the sentences about models in an attribution study: the sign-up model, models on held-out users.

Takes plain results; a pure function of them. What a check withholds is said to be withheld, with the reason.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from influbayes.reporting.numbers import format_number, format_share
from influbayes.reporting.wording import join_words, say_probability, say_ratio, strip_controls

Results = Mapping[str, Any]
Row = Mapping[str, Any]

SURE = 0.95
NEAR_CHANCE = 0.5
NEARLY_ALL = 0.95
_MOST_LEVELS = 4
_BASE, _WEIGHTED, _PLAIN = "base rate", "LightGBM, sign-ups weighted", "LightGBM"
_MAIN = ("hierarchical model", _PLAIN)


def state(kind: str, text: str, status: str = "stated") -> dict[str, Any]:
    """Return a statement: ``kind, text, status`` (stated, weakened, withheld)."""
    return {"kind": kind, "text": strip_controls(text), "status": status}


def say_record(results: Results) -> Iterator[dict[str, Any]]:
    """Say where sign-ups stand in the record of their users, if they all stand at its end."""
    data = results["data"]
    if results["signup"] is None and results["baseline"] is None:
        return
    if data["sign_ups_last"] >= NEARLY_ALL * data["sign_ups"]:
        which = "Every sign-up is" if data["sign_ups_last"] == data["sign_ups"] else "Nearly every sign-up is"
        yield state(
            "record",
            f"{which} its user's last session in this table: people do not come back, or their later sessions were not "
            "recorded. So whatever tells last sessions from earlier ones, such as the date or the number of sessions "
            "before, seems to tell sign-ups.",
            "weakened",
        )


def say_signup(results: Results) -> Iterator[dict[str, Any]]:
    """Say which channels sign up more often by the sign-up model, or why nothing is said."""
    model = results["signup"]
    if model is None:
        return
    if model["status"] == "withheld":
        reasons = " ".join(model["reasons"][:2])
        yield state(
            "signup", f"Nothing is said from the sign-up model: it did not pass its checks. {reasons}", "withheld"
        )
        return
    rows = [row for row in model["levels"] if row["variable"] == results["options"]["by"]]
    clear = [row for row in rows if max(row["probability"], 1 - row["probability"]) >= SURE]
    for row in clear[:_MOST_LEVELS]:
        yield _say_level(row, model)
    if not clear:
        text = "By the sign-up model it cannot be told which channel's sessions sign up more often than the average."
        yield state("signup", text, "weakened")
    for row in model["slopes"]:
        yield _say_slope(row, model)


def _say_level(row: Row, model: Row) -> dict[str, Any]:
    if row["id"] in model["withheld"]:
        reasons = _find_reasons(row["id"], f"{row['variable']}:{row['level']}", model)
        return state("signup", f"What the sign-up model says of {row['level']} is withheld. {reasons}", "withheld")
    side = "more" if row["probability"] > 0.5 else "less"
    sure = say_probability(max(row["probability"], 1 - row["probability"]))
    text = (
        f"By the sign-up model a session through {row['level']} ends in a sign-up {side} often than an average one, "
        f"all else in the model equal: odds ratio {_say_odds(row)}, probability {sure}."
    )
    subject = f"{row['variable']}:{row['level']}"
    words = [item["meaning"] for item in model["diagnostics"] if item["subject"] == subject and _adds_words(item)]
    return state("signup", " ".join([text, *words[:1]]), "weakened" if words else "stated")


def _adds_words(item: Row) -> bool:
    return bool(item["consequence"] == "words_added")


def _say_slope(row: Row, model: Row) -> dict[str, Any]:
    if row["id"] in model["withheld"]:
        reasons = _find_reasons(row["id"], row["variable"], model)
        return state(
            "signup_step", f"What the sign-up model says of {row['variable']} is withheld. {reasons}", "withheld"
        )
    sure = max(row["probability"], 1 - row["probability"])
    if sure < SURE:
        text = f"By the sign-up model it cannot be told whether {row['variable']} matters: odds ratio {_say_odds(row)}"
        return state("signup_step", f"{text} for {row['step']}.", "weakened")
    text = f"By the sign-up model {row['step']} multiplies the odds of a sign-up by {_say_odds(row)}"
    return state("signup_step", f"{text}, probability {say_probability(sure)} that it {_say_side(row)} them.")


def _say_side(row: Row) -> str:
    return "raises" if row["probability"] > 0.5 else "lowers"


def _say_odds(row: Row) -> str:
    return f"{say_ratio(row['odds_ratio'])} ({say_ratio(row['odds_lower'])} to {say_ratio(row['odds_upper'])})"


def _find_reasons(identity: str, subject: str, model: Row) -> str:
    """Return what the checks that withhold a statement say."""
    names = model["withheld"][identity]
    found = [
        item["meaning"]
        for item in model["diagnostics"]
        if item["name"] in names
        and item["status"] == "fail"
        and (item["subject"] in (identity, subject) or item["name"] == "predictive_creators")
    ]
    return " ".join(dict.fromkeys(found))


def say_baseline(results: Results) -> Iterator[dict[str, Any]]:
    """Say of each model whether it beats the base rate on held-out users, and what was left out."""
    trial = results["baseline"]
    if trial is None:
        return
    if trial["uncertified"]:
        yield state("baseline", trial["uncertified"], "withheld")
    scores = {(row["model"], row["metric"]): row for row in trial["scores"]}
    for model in dict.fromkeys(row["model"] for row in trial["scores"]):
        if model not in (_BASE, _WEIGHTED) and scores[model, "roc_auc"]["lower"] is not None:
            yield _say_model(model, {metric: row for (name, metric), row in scores.items() if name == model}, trial)
    if trial["left_out"]:
        yield state("left_out", f"Left out of every model: {join_words(sorted(trial['left_out']))}.")


def _say_model(model: str, scores: Row, trial: Row) -> dict[str, Any]:
    auc, last, gain = scores["roc_auc"], scores["roc_auc_last"], scores["log_loss_gain"]
    losses = {row["model"]: row["mean"] for row in trial["scores"] if row["metric"] == "log_loss"}
    start = f"{model[0].upper()}{model[1:]} ({say_uses(trial['uses'][model])}), on users it has not seen:"
    said = f"ROC AUC {_say_score(auc)}"
    if not auc["lower"] > NEAR_CHANCE:
        verdict = f"it does not beat the base rate at telling sign-ups from other sessions, {said}"
    elif last["lower"] is not None and not last["lower"] > NEAR_CHANCE:
        verdict = (
            f"it tells last sessions from earlier ones, not who signs up: {said} over all sessions, {_say_score(last)} "
            "among each user's last session"
        )
    else:
        verdict = f"it tells sign-ups from other sessions better than chance, {said}"
        if last["lower"] is not None:
            verdict += f"; among each user's last session alone {_say_score(last)}"
    better = "are better than" if (gain["lower"] or 0.0) > 0 else "are not better than"
    rate = format_share(trial["base_rate"])
    chances = f"its chances {better} the base rate of {rate} (log loss {losses[model]:.4f} against {losses[_BASE]:.4f})"
    return state("baseline" if model in _MAIN else "baseline_other", f"{start} {verdict}; {chances}.")


def say_uses(names: list[str]) -> str:
    """Return how many features a model uses, in words: "5 features"."""
    return "no feature" if not names else f"{len(names)} feature{'s' if len(names) > 1 else ''}"


def _say_score(row: Row) -> str:
    return f"{row['mean']:.2f} ({row['lower']:.2f} to {row['upper']:.2f})"


def say_imbalance(results: Results) -> Iterator[dict[str, Any]]:
    """Say what was tried against the rarity of sign-ups, and what came of it, in numbers."""
    trial = results["baseline"]
    if trial is None:
        return
    found = {(row["model"], row["metric"]): row["mean"] for row in trial["scores"]}
    if (_WEIGHTED, "roc_auc") not in found or None in (found[_PLAIN, "roc_auc"], found[_WEIGHTED, "roc_auc"]):
        return
    rate = trial["base_rate"]
    changes = join_words(
        [
            f"{words} from {found[_PLAIN, metric]:.{digits}f} to {found[_WEIGHTED, metric]:.{digits}f}"
            for words, metric, digits in (
                ("ROC AUC", "roc_auc", 2), ("PR AUC", "pr_auc", 3), ("F1", "f1", 2), ("log loss", "log_loss", 3),
            )
        ]
    )  # fmt: skip
    yield state(
        "imbalance",
        f"Sign-ups are {format_share(rate)} of the sessions. Tried against this imbalance: each sign-up weighted "
        f"{format_number((1 - rate) / rate, 2)} times. It changes {changes} (lower is better for log loss only). No "
        "rows were dropped or made up; the other models count all rows alike, and the threshold of F1 is chosen on "
        "training folds.",
    )


def say_minutes(results: Results) -> Iterator[dict[str, Any]]:
    """Say whether the minutes of a session can be predicted."""
    minutes = None if results["baseline"] is None else results["baseline"]["minutes"]
    if minutes is None:
        return
    helps = minutes["r_squared"] > 0.02
    text = "can be predicted in part" if helps else "cannot be predicted"
    yield state(
        "minutes",
        f"Minutes of a session {text} from what is known before it: mean error {minutes['error']:.1f} minutes, "
        f"{minutes['error_of_median']:.1f} by the median alone.",
    )
