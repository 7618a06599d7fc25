"""Readers and writers at once, in processes of their own: no reader blocks a refresh, none sees half of one."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.conftest import run_pipeline

READERS = 10
REFRESHES = 5
FEWEST_LOOKS = 5
# Opens the file anew for every look, as a dashboard does, and notes what it saw; and that there are pages beside it.
LOOKER = textwrap.dedent(
    """
    import json, sys, time, duckdb
    from pathlib import Path
    path, out = sys.argv[1:]
    page = Path(path).parent / "reports"
    with open(out, "w") as log:
        print("ready", flush=True)
        while True:
            with duckdb.connect(path, read_only=True) as connection:
                [seen] = connection.execute(
                    '''
                    select
                        (select max(refresh) from meta.refreshes where status = 'published'),
                        count(*),
                        count(distinct sale_id),
                        count(distinct customer_id),
                        cast(sum(net_revenue) / 3 as double),
                        (select cast(sum(total_spend) as double) from marts.customer_metrics),
                        (select cast(sum(net_revenue) as double) from marts.daily_sales),
                        (select count(*) from marts.customer_360 join marts.customer_rfm using (customer_id))
                    from marts.fct_sales
                    join marts.dim_customers using (customer_id)
                    join marts.customer_360 using (customer_id)
                    join ml.churn_scores using (customer_id)
                    '''
                ).fetchall()
            log.write(json.dumps([*seen, page.exists()]) + "\\n")
            log.flush()
            time.sleep(3)
    """
)
# Opens the file once and keeps it open, as a notebook does.
HOLDER = textwrap.dedent(
    """
    import sys, duckdb
    connection = duckdb.connect(sys.argv[1], read_only=True)
    count = lambda: connection.execute("select count(*) from marts.fct_sales").fetchall()[0][0]
    print(count(), flush=True)
    sys.stdin.readline()
    print(count(), flush=True)
    """
)


def deliver(landing: Path, number: int) -> None:
    """A file with one more sale, of one more customer."""
    line = f"customer {number},2024-0{number}-05,10\n"
    (landing / f"sales_{number}.csv").write_text("customer_id,sold_at,amount\n" + line, encoding="utf-8")


@contextmanager
def looking(published: Path, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-c", LOOKER, str(published), str(log)], stdout=subprocess.PIPE) as looker:
        try:
            assert looker.stdout
            assert looker.stdout.readline() == b"ready\n"
            yield looker
        finally:
            looker.kill()


def looks(log: Path) -> list[tuple]:
    """What a reader has seen; a line that it is writing now does not count."""
    return [tuple(json.loads(line)) for line in log.read_text().split("\n")[:-1]]


def test_ten_readers_see_one_refresh_at_every_look_and_stop_none_of_five(tmp_path: Path) -> None:
    home = tmp_path / "home"
    landing = home / "landing"
    landing.mkdir(parents=True)
    deliver(landing, 1)
    first = run_pipeline(home)
    assert first.succeeded, first.output
    published = home / "pulse.duckdb"
    logs = [tmp_path / f"seen_{number}.jsonl" for number in range(READERS)]

    with (
        ExitStack() as readers,
        subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(published)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as holder,
    ):
        try:
            lookers = [readers.enter_context(looking(published, log)) for log in logs]
            assert holder.stdout
            assert holder.stdin
            assert holder.stdout.readline() == "1\n"
            for number in range(2, 2 + REFRESHES):
                deliver(landing, number)
                refreshed = run_pipeline(home)
                assert refreshed.succeeded, refreshed.output
            holder.stdin.write("\n")
            holder.stdin.flush()
            assert holder.stdout.readline() == "1\n"
            # Everybody looks once more when all is done.
            until = [len(looks(log)) + 2 for log in logs]
            while any(len(looks(log)) < wanted for log, wanted in zip(logs, until, strict=True)):
                assert [looker.poll() for looker in lookers] == [None] * READERS, "a reader met an error"
        finally:
            holder.kill()

    # Each sale meets three probabilities of its customer.
    states = [(n, 3 * n, n, n, 10.0 * n, 10.0 * n, 10.0 * n, n, True) for n in range(1, 2 + REFRESHES)]
    for log in logs:
        seen = looks(log)
        assert set(seen) <= set(states)
        # Nobody goes back to what was before, and all see the last one.
        assert seen == sorted(seen)
        assert seen[-1] == states[-1]
        assert len(seen) >= FEWEST_LOOKS
    assert {look for log in logs for look in looks(log)} == set(states)
