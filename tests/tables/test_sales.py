"""Columns Purchases and Revenue: accepted where they agree with the outcome, else refused in their lines."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from influbayes.errors import DataRefused
from influbayes.tables.reader import read_posts
from influbayes.tables.simulate import render_posts_csv, simulate_posts

TODAY = date(2026, 7, 1)
HEAD = "Converted,Story_Views,Swipe_Ups,Influencer_Tier,Audience_Region"
ROWS = ("1,18250,640,Mega,US", "0,16500,310,Mega,EU", "1,9200,420,Mid,US", "0,2100,35,Micro,EU")


def read(tmp_path, column, *values):
    rows = [f"{row},{value}" for row, value in zip(ROWS, values, strict=True)]
    path = tmp_path / "posts.csv"
    path.write_text("\n".join([f"{HEAD},{column}", *rows]) + "\n")
    return read_posts(path, today=TODAY)


def test_amounts_are_kept_as_numbers_and_empty_cells_of_posts_without_a_purchase_say_nothing(tmp_path):
    posts = read(tmp_path, "Revenue", "120.50", "", "80", "0")
    assert posts.frame["Revenue"].tolist() == pytest.approx([120.5, np.nan, 80, 0], nan_ok=True)
    assert posts.notices == ()
    assert read(tmp_path, "Purchases", "3", "0", "1", "").frame["Purchases"].tolist()[:3] == [3, 0, 1]


def test_a_conversion_may_bring_no_revenue(tmp_path):
    assert read(tmp_path, "Revenue", "0", "0", "9", "0").notices == ()


@pytest.mark.parametrize(
    ("column", "values", "expected"),
    [
        (
            "Revenue",
            ("10", "25", "10", ""),
            "IB-D34 posts.csv, Revenue: above 0 where Converted is 0 in 1 row (line 3: Revenue=25, Converted=0). A "
            "conversion is a post with at least one purchase, so one of the two is wrong. Correct the rows, or empty "
            "the cells of Revenue. Nothing was fitted.",
        ),
        (
            "Purchases",
            ("2", "0", "0", "0"),
            "IB-D34 posts.csv, Purchases: 0 where Converted says there was a purchase in 1 row (line 4: Purchases=0, "
            "Converted=1). A conversion is a post with at least one purchase, so one of the two is wrong. Correct the "
            "rows, or empty the cells of Purchases. Nothing was fitted.",
        ),
        (
            "Revenue",
            ("-5", "0", "10", ""),
            'IB-D40 posts.csv, Revenue: below 0 in 1 row (line 2: "-5"). What was sold is 0 or more; a refund is no '
            "negative sale of a post. Correct the rows, or leave the cell empty. Nothing was fitted.",
        ),
    ],
)
def test_contradictions_are_refused_word_for_word(tmp_path, column, values, expected):
    with pytest.raises(DataRefused) as refusal:
        read(tmp_path, column, *values)
    assert [str(problem) for problem in refusal.value.problems] == [expected]


def test_a_converting_post_without_an_amount_is_warned_of(tmp_path):
    (notice,) = read(tmp_path, "Revenue", "", "", "80", "").notices
    assert str(notice) == (
        "IB-D40 posts.csv, Revenue: no Revenue of converting posts in 1 row (line 2). They are kept, and left out of "
        "the mean of their tier."
    )


FAULTS = {
    "negative purchases": ("Purchases", "-2", "IB-D24", True),
    "part of a purchase": ("Purchases", "1.5", "IB-D23", True),
    "words for purchases": ("Purchases", "three", "IB-D19", True),
    "negative revenue": ("Revenue", "-9.5", "IB-D40", True),
    "words for revenue": ("Revenue", "n/a", "IB-D19", True),
    "infinite revenue": ("Revenue", "inf", "IB-D25", True),
    "purchases without a conversion": ("Purchases", "2", "IB-D34", False),
    "revenue without a conversion": ("Revenue", "12.5", "IB-D34", False),
    "a conversion without a purchase": ("Purchases", "0", "IB-D34", True),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_found_in_its_line_in_twenty_tables(name, tmp_path):
    column, value, code, converted = FAULTS[name]
    for seed in range(20):
        lines = render_posts_csv(simulate_posts(posts=60, creators=12, seed=seed, sales=True)).splitlines()
        header = lines[0].split(",")
        rows = [line.split(",") for line in lines[1:]]
        rng = np.random.default_rng(seed)
        wanted = [k for k, row in enumerate(rows) if (row[header.index("Converted")] == "1") == converted]
        k = int(rng.choice(wanted))
        rows[k][header.index(column)] = value
        path = tmp_path / f"{seed}.csv"
        path.write_text("\n".join([lines[0], *(",".join(row) for row in rows)]) + "\n")
        with pytest.raises(DataRefused) as refusal:
            read_posts(path, today=TODAY)
        assert [(problem.code, problem.lines) for problem in refusal.value.problems] == [(code, (k + 2,))], seed


def test_simulated_sales_are_read_without_a_word_and_leave_the_rest_of_the_table_as_it_was(tmp_path):
    plain, sold = (
        simulate_posts(posts=400, creators=60, seed=5),
        simulate_posts(posts=400, creators=60, seed=5, sales=True),
    )
    assert sold.frame.drop(columns=["Purchases", "Revenue"]).equals(plain.frame)
    path = tmp_path / "posts.csv"
    path.write_text(render_posts_csv(sold))
    posts = read_posts(path, today=TODAY)
    assert posts.notices == ()
    bought = posts.frame["conversions"] == 1
    assert (posts.frame.loc[bought, "Purchases"] >= 1).all()
    assert (posts.frame.loc[~bought, ["Purchases", "Revenue"]] == 0).all(axis=None)
    means = posts.frame[bought].groupby("Influencer_Tier")["Purchases"].mean()
    assert means["Mega"] > means["Micro"]
