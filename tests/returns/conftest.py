"""A small hand-written ledger whose sums can be done in the head, and a writer of ledgers."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from influbayes.tables.ledger import Ledger, read_ledger

TODAY = date(2026, 6, 1)
TABLES = {
    "influencers.csv": "id,name,category,gender,follower_count,platform,influencer_type\n"
    "a,Ann,Food,Female,1000,Instagram,Micro\nb,Bob,Food,Male,2000,YouTube,Macro\nc,Cat,Travel,Female,500,TikTok,Micro\n",
    "posts.csv": "influencer_id,platform,date,url,reach,likes,comments\n"
    "a,Instagram,2026-01-01,u1,100,9,1\na,Instagram,2026-01-20,u2,100,4,1\nb,YouTube,2026-01-02,u3,0,0,0\n",
    "tracking_data.csv": "source,campaign,influencer_id,user_id,product,date,orders,revenue,group\n"
    "Instagram,One,a,u1,P,2026-01-03,1,30,1\nInstagram,One,a,u2,Q,2026-01-21,2,50,1\nInstagram,Two,a,u3,,2026-01-04,0,0,1\n"
    "YouTube,One,b,u4,P,2026-01-05,1,20,1\nYouTube,Two,b,u5,,2026-01-06,0,0,1\nYouTube,Two,,u6,P,2026-01-06,1,7,1\n"
    "YouTube,One,a,u7,P,2026-01-05,1,16,0\nYouTube,One,b,u8,,2026-01-05,0,0,0\nYouTube,One,b,u9,,2026-01-05,0,0,0\n"
    "YouTube,One,b,u10,,2026-01-05,0,0,0\n",
    "payouts.csv": "influencer_id,basis,rate,orders,total_payout\na,post,20,3,40\nb,order,10,1,10\nc,post,5,0,5\n",
}


@pytest.fixture
def read_tables(tmp_path: Path) -> Callable[..., Ledger]:
    """Write the small ledger with changes (file -> text, or file -> function of the text) and read it."""

    def read(changes: dict[str, str | Callable[[str], str]] | None = None, **options: object) -> Ledger:
        for name, text in TABLES.items():
            change = (changes or {}).get(name, text)
            (tmp_path / name).write_text(change if isinstance(change, str) else change(text), encoding="utf-8")
        return read_ledger(tmp_path, today=TODAY, **options)  # type: ignore[arg-type]

    return read
