"""Empty forms to fill in: for each uploaded table a header and two example rows, made from the readers' own columns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from influbayes.tables.ledger_files import TABLES
from influbayes.tables.posts import PostColumns
from influbayes.tables.reader import CREATOR, FEE, POST_DATE, POST_ID
from influbayes.tables.sessions import CHANNEL, END, EVENT, OPTIONAL, REQUIRED, REVENUE, SESSION, SIGN_UP, START, USER

if TYPE_CHECKING:
    import pandas as pd

Pair = tuple[object, object]

_POSTS: Mapping[str, Pair] = {
    "Converted": (1, 0),
    "Story_Views": (12000, 85000),
    "Swipe_Ups": (340, 910),
    "Influencer_Tier": ("Micro", "Mega"),
    "Audience_Region": ("NorthAmerica", "Europe"),
    CREATOR: ("C001", "C002"),
    POST_ID: ("P0001", "P0002"),
    POST_DATE: ("2026-03-02", "2026-03-05"),
    FEE: (450, 5200),
}
_LEDGER: Mapping[str, Pair] = {
    "id": ("i01", "i02"),
    "name": ("Asha", "Ben"),
    "category": ("Fitness", "Travel"),
    "gender": ("Female", "Male"),
    "follower_count": (48000, 310000),
    "platform": ("Instagram", "YouTube"),
    "influencer_type": ("Micro", "Macro"),
    "influencer_id": ("i01", "i02"),
    "date": ("2026-03-02", "2026-03-05"),
    "url": ("post-1", "post-2"),
    "reach": (21000, 150000),
    "likes": (800, 5100),
    "comments": (60, 240),
    "source": ("influencer", "influencer"),
    "campaign": ("Spring", "Spring"),
    "user_id": ("u001", "u002"),
    "product": ("Protein", "Vitamins"),
    "orders": (1, 1),
    "revenue": (42.5, 18.0),
    "group": (1, 0),
    "basis": ("order", "order"),
    "rate": (4.5, 4.5),
    "total_payout": (4.5, 4.5),
}
_SESSIONS: Mapping[str, Pair] = {
    SESSION: ("s001", "s002"),
    USER: ("u001", "u001"),
    EVENT: ("2026-03-02 09:30:00", "2026-03-05 18:05:00"),
    CHANNEL: ("creator_video", "brand_search"),
    SIGN_UP: (0, 1),
    START: ("2026-03-02 09:30:00", "2026-03-05 18:05:00"),
    END: ("2026-03-02 09:34:00", "2026-03-05 18:12:00"),
    "event_name": ("page_view", "sign_up"),
    "utm_source": ("youtube", "google"),
    "utm_content": ("video_a", "text_b"),
    "utm_medium": ("video", "cpc"),
    "utm_campaign": ("spring", "brand"),
    "utm_term": ("cloud gpu", "gpu server price"),
    "page": ("home", "pricing"),
    "referrer": ("youtube", "google"),
    "country": ("DE", "DE"),
    REVENUE: (0, 0),
}


def list_columns(study: str, part: str) -> dict[str, bool]:
    """Return the columns of a table in order: name -> whether it is needed."""
    if study == "returns":
        return dict.fromkeys(TABLES[part], True)
    if study == "attribution":
        return {**dict.fromkeys(REQUIRED, True), **dict.fromkeys(OPTIONAL, False)}
    return {**dict.fromkeys(PostColumns().required, True), **dict.fromkeys((CREATOR, POST_ID, POST_DATE, FEE), False)}


def make_template(study: str, part: str) -> pd.DataFrame:
    """Return a table with every column of a part and two example rows."""
    import pandas as pd

    examples = {"conversion": _POSTS, "returns": _LEDGER, "attribution": _SESSIONS}[study]
    return pd.DataFrame({name: list(examples[name]) for name in list_columns(study, part)})
