"""Fits in processes of their own: at most so many at a time, limits that hold, owners, and nothing left behind."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from influbayes.dashboard.jobs import JobLimits, JobQueue, JobRequest, JobView, QueueFull
from influbayes.dashboard.uploads import Upload, choose_ending, name_upload, parse_mapping, store_upload
from influbayes.errors import UsageError

pytestmark = pytest.mark.xdist_group("dashboard")

BAD = b"Converted,Story_Views,Swipe_Ups,Influencer_Tier,Audience_Region\n2,x,3,Micro,US\n1,100,200,,EU\n"
SAMPLE = Path(__file__).parents[2] / "data" / "posts.csv"  # its fit takes seconds
SECONDS = 60.0

MakeQueue = Callable[..., JobQueue]


@pytest.fixture
def make_queue(tmp_path: Path) -> Iterator[MakeQueue]:
    made: list[JobQueue] = []

    def make(**limits: float) -> JobQueue:
        made.append(JobQueue(tmp_path / "jobs", JobLimits(**limits)))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for queue in made:
        queue.close()


def ask(tmp_path: Path, *, owner: str = "me", content: bytes = BAD, study: str = "conversion") -> JobRequest:
    stored = store_upload(study, {"posts": Upload(name="posts.csv", content=content)}, tmp_path / "uploads")
    return JobRequest(
        owner=owner,
        study=study,
        title="posts.csv",
        source=stored.source,
        upload=stored.folder,
        out=tmp_path / "runs" / stored.folder.name,
    )


def wait(queue: JobQueue, owner: str = "me") -> JobView:
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        (job,) = queue.list_jobs(owner)
        if job.has_ended:
            return job
        time.sleep(0.05)
    pytest.fail("the job did not end")


def list_left(tmp_path: Path) -> list[Path]:
    return [path for name in ("jobs", "uploads") for path in (tmp_path / name).rglob("*")]


def test_a_refused_upload_gives_every_problem_and_is_deleted(make_queue: MakeQueue, tmp_path: Path) -> None:
    queue = make_queue()
    queue.submit(ask(tmp_path))
    job = wait(queue)
    assert job.state == "refused"
    found = [(row["code"], row["column"], row["lines"], row["value"]) for row in job.problems]
    assert found == [
        ("IB-D33", "Converted", [2], "2"),
        ("IB-D19", "Story_Views", [2], "x"),
        ("IB-D22", "Influencer_Tier", [3], ""),
        ("IB-D34", "Swipe_Ups", [3], "200"),
    ]
    assert all("Nothing was fitted." in row["message"] for row in job.problems)
    assert list_left(tmp_path) == []
    assert not (tmp_path / "runs").exists()


def test_the_messages_are_those_of_the_command_line(
    make_queue: MakeQueue, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from influbayes.fit import main

    queue = make_queue()
    queue.submit(ask(tmp_path))
    (tmp_path / "posts.csv").write_bytes(BAD)
    assert main([str(tmp_path / "posts.csv"), "--out", str(tmp_path / "run")]) == 3
    said = capsys.readouterr().err
    job = wait(queue)
    assert len(job.problems) == 4
    assert [row["message"] for row in job.problems if row["message"] not in said] == []


def test_no_more_than_so_many_run_and_a_waiting_one_can_be_cancelled(make_queue: MakeQueue, tmp_path: Path) -> None:
    queue = make_queue(running=1)
    keys = [queue.submit(ask(tmp_path)) for _ in range(3)]
    assert [(job.state, job.ahead) for job in queue.list_jobs("me")] == [("running", 0), ("waiting", 0), ("waiting", 1)]
    queue.cancel(keys[2], "somebody else")
    assert queue.list_jobs("me")[2].state == "waiting"
    queue.cancel(keys[2], "me")
    assert queue.list_jobs("me")[2].state == "cancelled"
    queue.cancel(keys[0], "me")
    queue.cancel(keys[1], "me")
    end = time.monotonic() + SECONDS
    while not all(job.has_ended for job in queue.list_jobs("me")) and time.monotonic() < end:
        time.sleep(0.05)
    assert [job.state for job in queue.list_jobs("me")] == ["cancelled"] * 3
    assert list_left(tmp_path) == []


def test_one_session_cannot_fill_the_queue(make_queue: MakeQueue, tmp_path: Path) -> None:
    queue = make_queue(running=1, unfinished_each=2)
    for _ in range(2):
        queue.submit(ask(tmp_path))
    with pytest.raises(QueueFull, match="2 of your fits are unfinished"):
        queue.submit(ask(tmp_path))
    queue.submit(ask(tmp_path, owner="you"))


def test_sessions_see_their_own_jobs_and_those_of_all(make_queue: MakeQueue, tmp_path: Path) -> None:
    queue = make_queue(running=1)
    for owner in ("me", "you", ""):
        queue.submit(ask(tmp_path, owner=owner))
    assert len(queue.list_jobs("me")) == 2
    assert [job.is_public for job in queue.list_jobs("you")] == [False, True]
    assert [job.is_public for job in queue.list_jobs("nobody")] == [True]


def test_a_job_that_takes_too_long_is_stopped(make_queue: MakeQueue, tmp_path: Path) -> None:
    queue = make_queue(wall_seconds=0.5)
    queue.submit(ask(tmp_path, content=SAMPLE.read_bytes()))
    job = wait(queue)
    assert job.state == "failed"
    assert "the table is too large for the dashboard" in job.message
    assert list_left(tmp_path) == []


def test_a_job_without_enough_memory_says_so(make_queue: MakeQueue, tmp_path: Path) -> None:
    queue = make_queue(memory_bytes=220 * 1024**2)
    queue.submit(ask(tmp_path))
    job = wait(queue)
    assert job.state == "failed"
    assert "Traceback" not in job.message
    assert list_left(tmp_path) == []


def test_closing_leaves_no_process_and_no_upload(make_queue: MakeQueue, tmp_path: Path) -> None:
    queue = make_queue(running=2)
    for _ in range(3):
        queue.submit(ask(tmp_path))
    queue.close()
    assert {job.state for job in queue.list_jobs("me")} == {"cancelled"}
    assert list_left(tmp_path) == []


# --- uploads ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["../../etc/cron.d/x.csv", "C:\\evil.exe", "x\0.csv", "a" * 300, "", ".csv", "/etc/passwd"]
)
def test_a_clients_file_name_is_never_a_path(name: str, tmp_path: Path) -> None:
    stored = store_upload("conversion", {"posts": Upload(name=name, content=b"x")}, tmp_path / "uploads")
    assert stored.source.name == "posts.csv"
    assert stored.source.is_relative_to(tmp_path / "uploads")
    assert {path for path in tmp_path.rglob("*") if path.is_file()} == {stored.source}
    assert stored.source.stat().st_mode & 0o077 == 0
    assert "\0" not in name_upload("conversion", {"posts": Upload(name=name, content=b"x")})


def test_endings_that_a_reader_knows_are_kept() -> None:
    assert choose_ending("conversion", "May.XLSX") == ".xlsx"
    assert choose_ending("returns", "orders.xlsx") == ".csv"


def test_columns_are_mapped_as_on_the_command_line() -> None:
    assert parse_mapping("Fee=Costs\n\n Converted = bought ") == {"Fee": "Costs", "Converted": "bought"}
    with pytest.raises(UsageError, match="write our column name, =, and the name in your file"):
        parse_mapping("Fee")
