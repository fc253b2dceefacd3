"""Bad sessions are refused, warned of or accepted as promised: code, rule, line and words."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from influbayes.attribution.journeys import build_journeys
from influbayes.errors import DataRefused
from influbayes.tables.session_reader import read_sessions

HEADER = "session_id,user_id,event_ts,session_start_ts,session_end_ts,channel_id,utm_source,Sign_up"


def row(number, *, user=None, day=1, channel="search", source="google", sign_up=0, start=None, end=None, session=None):
    event = f"2026-01-{day:02d} 10:{number % 60:02d}:00"
    begin = start or event
    finish = end or f"2026-01-{day:02d} 11:{number % 60:02d}:00"
    name = session or f"s{number:03d}"
    return f"{name},{user or f'u{number % 20:02d}'},{event},{begin},{finish},{channel},{source},{sign_up}"


def clean_rows(count=60):
    channels = ("search", "social", "direct")
    return [row(n, day=1 + n // 20, channel=channels[n % 3], sign_up=int(n >= 40 and n % 4 == 0)) for n in range(count)]


def read(tmp_path, rows, header=HEADER, name="sessions.csv"):
    path = tmp_path / name
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return read_sessions(path)


def refusals(tmp_path, rows):
    with pytest.raises(DataRefused) as caught:
        read(tmp_path, rows)
    return {problem.code: problem for problem in caught.value.problems}


def notices(sessions):
    return {problem.code: problem for problem in sessions.notices}


def test_a_clean_table_is_read_whole_without_a_warning(tmp_path):
    sessions = read(tmp_path, clean_rows())
    assert (sessions.rows_read, sessions.rows_used, len(sessions.frame), sessions.sign_ups) == (60, 60, 60, 5)
    assert [problem for problem in sessions.notices if problem.rule == "warn"] == []
    assert sessions.frame["minutes"].iloc[0] == 60.0


def test_d54_a_session_that_ends_before_it_starts_is_refused(tmp_path):
    rows = clean_rows()
    rows[4] = row(4, end="2026-01-01 09:00:00")
    problem = refusals(tmp_path, rows)["IB-D54"]
    assert problem.lines == (6,)
    assert "time zones" in problem.message


def test_d55_event_outside_its_session_and_long_sessions_are_warned_of(tmp_path):
    rows = clean_rows()
    rows[3] = row(3, start="2026-01-01 10:30:00")
    rows[8] = row(8, end="2026-01-04 10:08:00")
    said = [problem for problem in read(tmp_path, rows).notices if problem.code == "IB-D55"]
    assert [(problem.rule, problem.lines) for problem in said] == [("warn", (5,)), ("warn", (10,))]
    assert "3.0 days" in said[1].message


def test_d56_one_session_with_two_users_or_two_channels_is_refused(tmp_path):
    rows = clean_rows()
    rows[5] = row(5, session="s004", user="other")
    problem = refusals(tmp_path, rows)["IB-D56"]
    assert problem.lines == (7,)
    assert '"s004" has' in problem.message
    rows = clean_rows()
    rows[5] = row(5, session="s004", user="u04", channel="other")
    assert "channel_id" in refusals(tmp_path, rows)["IB-D56"].message


def test_several_events_of_one_session_are_one_touch_and_every_row_is_accounted_for(tmp_path):
    rows = [*clean_rows(), row(44, session="s040", user="u00", day=3, channel="social", sign_up=0)]
    sessions = read(tmp_path, rows)
    assert (sessions.rows_read, sessions.rows_used, len(sessions.frame)) == (61, 61, 60)
    assert sessions.sign_ups == 5


def test_d57_rows_without_a_user_are_rejected_and_their_sign_ups_named(tmp_path):
    rows = [line.replace(",u07,", ",,") for line in clean_rows()]
    sessions = read(tmp_path, rows)
    problem = notices(sessions)["IB-D57"]
    assert problem.rule == "warn"
    assert sessions.rejected == {"no user": 3}
    assert sessions.rows_read == sessions.rows_used + 3
    assert "0 of 5 sign-ups" in problem.message


def test_d57_more_than_five_per_cent_of_sign_ups_without_a_user_is_refused(tmp_path):
    rows = [line.replace(",u00,", ",,") for line in clean_rows()]
    assert "1 of 5 sign-ups" in refusals(tmp_path, rows)["IB-D57"].message


def test_d57_an_id_that_many_share_is_warned_of(tmp_path):
    rows = [line.replace(f",u{k:02d},", ",guest,") for k, line in enumerate(clean_rows()[:20])] + clean_rows()[20:]
    problem = notices(read(tmp_path, rows))["IB-D57"]
    assert '"guest" has 33%' in problem.message


def test_d58_missing_labels_are_a_level_and_placeholders_are_warned_of(tmp_path):
    rows = clean_rows()
    rows[2] = row(2, channel="", source="blank")
    sessions = read(tmp_path, rows)
    said = {(problem.rule, problem.column) for problem in sessions.notices if problem.code == "IB-D58"}
    assert said == {("accept", "channel_id"), ("warn", "utm_source")}
    assert (sessions.frame["channel_id"] == "(missing)").sum() == 1
    assert len(sessions.frame) == 60


def test_d59_the_first_sign_up_ends_the_journey_and_later_ones_are_counted(tmp_path):
    rows = clean_rows()
    rows[44] = row(44, user="u00", day=4, channel="social", sign_up=1)
    sessions = read(tmp_path, rows)
    assert "1 later sign-up" in notices(sessions)["IB-D59"].message
    journeys = build_journeys(sessions)
    assert journeys.credited + sum(journeys.uncredited.values()) == sessions.sign_ups
    assert journeys.uncredited == {"later sign-up of the same user": 1}
    each = build_journeys(sessions, sign_ups="each")
    assert each.credited == sessions.sign_ups


def test_d60_a_sign_up_before_its_first_touch_is_counted_and_not_credited(tmp_path):
    rows = clean_rows()
    rows.append("s900,u90,2026-01-02 10:00:00,2026-01-02 12:00:00,2026-01-02 13:00:00,search,google,1")
    sessions = read(tmp_path, rows)
    problem = notices(sessions)["IB-D60"]
    assert (problem.rule, problem.lines) == ("warn", (62,))
    journeys = build_journeys(sessions)
    assert journeys.uncredited == {"no touch before the sign-up": 1}
    assert journeys.credited + 1 == sessions.sign_ups


def test_d61_equal_times_are_warned_of_and_do_not_depend_on_the_order_of_rows(tmp_path):
    rows = clean_rows()
    rows[40] = row(40, user="u00", day=2, channel="zeta", sign_up=0)
    rows[41] = "s041,u00,2026-01-02 10:40:00,2026-01-02 10:40:00,2026-01-02 11:40:00,alpha,google,1"
    sessions = read(tmp_path, rows)
    assert notices(sessions)["IB-D61"].lines == (43,)
    turned = read(tmp_path, rows[::-1], name="turned.csv")
    assert turned.digest == sessions.digest
    one, other = build_journeys(sessions), build_journeys(turned)
    assert np.array_equal(one.channel, other.channel)
    assert one.channels == other.channels


def test_d62_one_channel_or_no_sign_up_is_refused(tmp_path):
    one = [row(n, sign_up=int(n == 3)) for n in range(30)]
    assert 'only "search"' in refusals(tmp_path, one)["IB-D62"].message
    none = [line[:-1] + "0" for line in clean_rows()]
    assert "no sign-up" in refusals(tmp_path, none)["IB-D62"].message


def test_every_fault_is_told_at_once_and_names_the_column_of_the_file(tmp_path):
    rows = clean_rows()
    rows[4] = row(4, end="2026-01-01 09:00:00")
    rows[5] = row(5, session="s003", user="other")
    assert {"IB-D54", "IB-D56"} <= refusals(tmp_path, rows).keys()


@pytest.mark.parametrize(
    ("word", "code"), [("soon", "IB-D31"), ("", "IB-D31"), ("2026-01-02T10:00:00+02:00", "IB-D32")]
)
def test_times_that_cannot_be_read_or_compared_are_refused(tmp_path, word, code):
    rows = clean_rows()
    parts = rows[7].split(",")
    parts[2] = word
    rows[7] = ",".join(parts)
    assert refusals(tmp_path, rows)[code].lines == (9,)


def test_a_missing_column_is_named_with_the_option_that_maps_it(tmp_path):
    with pytest.raises(DataRefused, match=r"channel_id.*--map"):
        read(tmp_path, clean_rows(), header=HEADER.replace("channel_id", "source_x"))


def test_a_mapped_column_is_read(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("\n".join([HEADER.replace("Sign_up", "joined"), *clean_rows()]), encoding="utf-8")
    assert read_sessions(path, mapping={"Sign_up": "joined"}).sign_ups == 5


def test_a_column_missing_in_most_rows_is_set_aside_and_named(tmp_path):
    rows = [line if n < 20 else line.replace(",google,", ",,") for n, line in enumerate(clean_rows())]
    quality = read(tmp_path, rows).quality
    found = {entry["column"]: entry for entry in quality["missing"]}
    assert found["utm_source"]["missing"] == 40
    assert found["utm_source"]["set_aside"]
    assert "more than half" in found["utm_source"]["done"]


def test_parquet_and_csv_give_the_same_table(tmp_path):
    sessions = read(tmp_path, clean_rows())
    frame = pd.read_csv(tmp_path / "sessions.csv", dtype=str, keep_default_na=False)
    frame.to_parquet(tmp_path / "sessions.parquet")
    assert read_sessions(tmp_path / "sessions.parquet").digest == sessions.digest
