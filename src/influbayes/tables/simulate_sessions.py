"""Simulated sessions with a stated truth: journeys over channels of which one alone causes sign-ups.

Takes sizes, a seed and optionally a truth; makes a frame, its CSV text and its truth as TOML. Knows no rule of
attribution. People who have decided come back through a closing channel, so that last touch credits the door they
used and not what made them decide.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd

from influbayes.errors import UsageError
from influbayes.tables.simulated_text import render_csv, render_tables

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

FIRST_MOMENT = "2026-01-01T00:00:00"
DAYS = 84
MOST_SESSIONS = 2_000_000
SESSIONS_PER_USER = 3.5


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelProfile:
    """What a channel looks like: its share of browsing sessions, its share of closing sessions, how it is tagged."""

    share: float
    closing: float
    source: str
    medium: str
    campaigns: tuple[str, ...]
    referrer: str


CHANNELS: Mapping[str, ChannelProfile] = {
    "creator_video": ChannelProfile(
        share=0.20, closing=0.02, source="youtube", medium="video", campaigns=("spring_creators", "always_on"),
        referrer="https://example.org/video",
    ),
    "paid_social": ChannelProfile(
        share=0.22, closing=0.05, source="reddit", medium="ppc", campaigns=("prospecting", "lookalike"), referrer="",
    ),
    "paid_search": ChannelProfile(
        share=0.18, closing=0.25, source="google", medium="cpc", campaigns=("generic_terms", "competitors"),
        referrer="https://example.com/search",
    ),
    "brand_search": ChannelProfile(
        share=0.06, closing=0.48, source="google", medium="cpc", campaigns=("brand",),
        referrer="https://example.com/search",
    ),
    "organic_search": ChannelProfile(
        share=0.20, closing=0.08, source="", medium="", campaigns=(), referrer="https://example.com/search",
    ),
    "direct": ChannelProfile(share=0.14, closing=0.12, source="", medium="", campaigns=(), referrer=""),
}  # fmt: skip
PAGES: Mapping[str, float] = {"/home": 0.34, "/pricing": 0.22, "/product": 0.26, "/blog/compare": 0.12, "/docs": 0.06}
TERMS: tuple[str, ...] = (
    "cheap cloud gpu",
    "gpu server price",
    "cloud gpu pricing",
    "rent gpu server",
    "train model online",
    "machine learning training course",
)
COUNTRIES: Mapping[str, float] = {"US": 0.42, "DE": 0.21, "IN": 0.23, "BR": 0.14}
CONTENT_SHARE = 0.10  # sessions whose ad content was recorded: a column missing in most rows


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionsTruth:
    """What makes people sign up, in log-odds of deciding after a session.

    `base` is the log-odds for an average person, `person_sd` the spread between people, and `effects` what having seen
    a channel at least once adds. `closing_share` is the probability that a person who has decided comes back for the
    sign-up in a session of its own, whose channel says nothing of the cause.
    """

    base: float = -4.3
    person_sd: float = 0.7
    effects: Mapping[str, float] = field(default_factory=lambda: {"creator_video": 1.9})
    closing_share: float = 0.85


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedSessions:
    """A simulated table with everything it was made from.

    `frame` has the public columns in order of time. `incremental` is, per channel, how many of the sign-ups would not
    have happened without that channel's effect, the same people and chances otherwise.
    """

    frame: pd.DataFrame
    truth: SessionsTruth
    incremental: Mapping[str, int]
    sign_ups: int
    users: int
    seed: int


def simulate_sessions(
    *, sessions: int = 3000, seed: int = 20260101, truth: SessionsTruth | None = None
) -> SimulatedSessions:
    """Simulate journeys of people over channels, with a stated cause of their sign-ups.

    Each browsing session may make its person decide, with log-odds base + person + effects of the channels seen so
    far. Who has decided mostly comes back within a day through a closing channel and signs up there.

    Parameters
    ----------
    sessions : int
        Browsing sessions that are planned, 100 to 2,000,000. People who decide stop browsing, so that the table has
        about 5 % fewer.
    seed : int
        0 or more; the same seed gives the same table.
    truth : SessionsTruth, optional
        Without it that of the bundled sample.

    Returns
    -------
    SimulatedSessions

    Raises
    ------
    UsageError
        Where a size, the seed or the truth is not possible.

    Examples
    --------
    >>> simulate_sessions(sessions=200).frame["Sign_up"].isin([0, 1]).all()
    np.True_
    """
    truth = SessionsTruth() if truth is None else truth
    _require_possible(sessions, seed, truth)
    walk_rng, detail_rng = np.random.default_rng(seed).spawn(2)
    walk = _walk(max(1, round(sessions / SESSIONS_PER_USER)), walk_rng)
    decided = _decide(walk, truth, truth.effects)
    frame = _assemble(walk, decided, truth, detail_rng)
    return SimulatedSessions(
        frame=frame,
        truth=truth,
        incremental=_count_incremental(walk, decided, truth),
        sign_ups=int(frame["Sign_up"].sum()),
        users=int(frame["user_id"].nunique()),
        seed=seed,
    )


def _require_possible(sessions: int, seed: int, truth: SessionsTruth) -> None:
    if not 100 <= sessions <= MOST_SESSIONS:
        raise UsageError(f"{sessions:,} sessions cannot be simulated. Give 100 to {MOST_SESSIONS:,}.")
    if seed < 0:
        raise UsageError(f"Seed {seed} is below 0. Give a whole number from 0.")
    unknown = sorted(set(truth.effects) - set(CHANNELS))
    if unknown:
        raise UsageError(f"effects names {', '.join(unknown)}; the channels are {', '.join(CHANNELS)}.")
    numbers = [truth.base, truth.person_sd, *truth.effects.values()]
    if not np.isfinite(numbers).all() or truth.person_sd < 0 or not 0 <= truth.closing_share <= 1:
        raise UsageError("Every number of the truth must be finite, person_sd 0 or more, closing_share 0 to 1.")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Walk:
    """Browsing sessions as if nobody ever signed up, sorted by user and time, with their chances."""

    user: IntArray
    moment: IntArray
    channel: IntArray
    person: FloatArray
    chance: FloatArray
    comes_back: FloatArray


def _walk(users: int, rng: np.random.Generator) -> _Walk:
    counts = 1 + rng.poisson(SESSIONS_PER_USER - 1.0, size=users)
    user = np.repeat(np.arange(users), counts)
    moment = rng.integers(0, DAYS * 86_400, size=len(user))
    order = np.lexsort((moment, user))
    shares = np.array([profile.share for profile in CHANNELS.values()])
    return _Walk(
        user=user,
        moment=moment[order],
        channel=rng.choice(len(CHANNELS), size=len(user), p=shares / shares.sum()),
        person=rng.standard_normal(users),
        chance=rng.random(len(user)),
        comes_back=rng.random(len(user)),
    )


def _decide(walk: _Walk, truth: SessionsTruth, effects: Mapping[str, float]) -> IntArray:
    """Return the row at which each user decides, -1 for those who never do."""
    eta = truth.base + truth.person_sd * walk.person[walk.user]
    for number, name in enumerate(CHANNELS):
        if name in effects:
            seen = pd.Series(walk.channel == number).groupby(walk.user).cummax().to_numpy(np.float64)
            eta = eta + effects[name] * seen
    hits = np.flatnonzero(walk.chance < 1.0 / (1.0 + np.exp(-eta)))
    first = np.full(len(walk.person), -1, dtype=np.int64)
    users, places = np.unique(walk.user[hits], return_index=True)
    first[users] = hits[places]
    return first


def _count_incremental(walk: _Walk, decided: IntArray, truth: SessionsTruth) -> dict[str, int]:
    """Count, per channel, the users who decide with its effect and do not without, by the same chances."""
    counts = {}
    for name in CHANNELS:
        rest = {other: effect for other, effect in truth.effects.items() if other != name}
        without = decided if name not in truth.effects else _decide(walk, truth, rest)
        counts[name] = int((decided >= 0).sum() - (without >= 0).sum())
    return counts


def _assemble(walk: _Walk, decided: IntArray, truth: SessionsTruth, rng: np.random.Generator) -> pd.DataFrame:
    """Return the table in order of time: browsing until the decision, then the sign-up."""
    last = np.where(decided >= 0, decided, np.iinfo(np.int64).max)
    browsing = np.flatnonzero(np.arange(len(walk.user)) <= last[walk.user])
    at = decided[decided >= 0]
    closing = at[walk.comes_back[at] < truth.closing_share]
    signs_here = np.isin(browsing, np.setdiff1d(at, closing))
    doors = np.array([profile.closing for profile in CHANNELS.values()])
    door = rng.choice(len(CHANNELS), size=len(closing), p=doors / doors.sum())
    delay = rng.integers(600, 86_400, size=len(closing))
    frame = pd.DataFrame(
        {
            "user": np.concatenate([walk.user[browsing], walk.user[closing]]),
            "moment": np.concatenate([walk.moment[browsing], walk.moment[closing] + delay]),
            "channel": np.concatenate([walk.channel[browsing], door]),
            "sign_up": np.concatenate([signs_here, np.ones(len(closing), dtype=bool)]),
        }
    )
    return _dress(frame.sort_values(["moment", "user", "sign_up"], kind="stable", ignore_index=True), rng)


def _dress(rows: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Give each session its public columns."""
    profiles = list(CHANNELS.values())
    channel = rows["channel"].to_numpy()
    start = np.datetime64(FIRST_MOMENT) + rows["moment"].to_numpy().astype("timedelta64[s]")
    signed = rows["sign_up"].to_numpy(np.bool_)
    seconds = np.rint(60 * np.exp(1.6 + 0.6 * rng.standard_normal(len(rows)) + 0.5 * signed)).astype(np.int64)
    wait = np.where(signed, np.maximum(seconds - 20, 1), 0)
    end = start + seconds.astype("timedelta64[s]")
    users = int(rows["user"].max()) + 1
    country = rng.choice(list(COUNTRIES), size=users, p=list(COUNTRIES.values()))
    searched = np.isin(channel, [list(CHANNELS).index(name) for name in ("paid_search", "brand_search")])
    terms = rng.choice(TERMS, size=len(rows))
    return pd.DataFrame(
        {
            "session_id": _name_rows("s", np.arange(1, len(rows) + 1)),
            "user_id": _name_rows("u", rows["user"].to_numpy() + 1),
            "event_ts": _write_times(start + wait.astype("timedelta64[s]")),
            "event_name": np.where(signed, "sign_up", "page"),
            "utm_source": np.array([profile.source for profile in profiles])[channel],
            "utm_content": np.where(rng.random(len(rows)) < CONTENT_SHARE, "banner_a", ""),
            "utm_medium": np.array([profile.medium for profile in profiles])[channel],
            "utm_campaign": _pick_campaigns(channel, rng),
            "utm_term": np.where(searched, terms, ""),
            "page": rng.choice(list(PAGES), size=len(rows), p=list(PAGES.values())),
            "referrer": np.array([profile.referrer for profile in profiles])[channel],
            "country": country[rows["user"].to_numpy()],
            "session_start_ts": _write_times(start),
            "session_end_ts": _write_times(end),
            "channel_id": np.array(list(CHANNELS))[channel],
            "Sign_up": signed.astype(np.int64),
        }
    )


def _pick_campaigns(channel: IntArray, rng: np.random.Generator) -> npt.NDArray[np.str_]:
    chance = rng.random(len(channel))
    names = [profile.campaigns or ("",) for profile in CHANNELS.values()]
    return np.array(
        [names[code][int(draw * len(names[code]))] for code, draw in zip(channel, chance, strict=True)], dtype=str
    )


def _write_times(moments: npt.NDArray[np.datetime64]) -> npt.NDArray[np.str_]:
    return np.char.replace(np.datetime_as_string(moments, unit="s"), "T", " ")


def _name_rows(letter: str, numbers: IntArray) -> list[str]:
    width = len(str(int(numbers.max())))
    return [f"{letter}{number:0{width}d}" for number in numbers]


def render_sessions_csv(simulated: SimulatedSessions) -> str:
    """Return the table as CSV text with a header, commas and line feeds."""
    return render_csv(simulated.frame)


def render_sessions_truth(simulated: SimulatedSessions) -> str:
    """Return the truth as TOML: sizes, seed, what causes sign-ups, and the sign-ups each channel caused."""
    truth = simulated.truth
    head = [
        "# What the table beside this file was simulated from. Effects are log-odds of deciding after a session, added",
        "# once the channel has been seen. `incremental` counts, by channel, the people who would not have decided",
        "# without it; all other sign-ups would have happened anyway, through whatever channel they came.",
        f"seed = {simulated.seed}",
        f"sessions = {len(simulated.frame)}",
        f"users = {simulated.users}",
        f"sign_ups = {simulated.sign_ups}",
        f"base = {truth.base!r}",
        f"person_sd = {truth.person_sd!r}",
        f"closing_share = {truth.closing_share!r}",
    ]
    effects = {name: truth.effects.get(name, 0.0) for name in CHANNELS}
    tables: Mapping[str, Mapping[str, float]] = {"effect": effects, "incremental": simulated.incremental}
    return render_tables(head, tables)
