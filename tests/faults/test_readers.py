"""Readers and writers at once, in processes of their own: no reader blocks a refresh, none sees half of one."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from pathlib import Path

from tests.conftest import run_pipeline

# Opens the file anew for every look, as a dashboard does, and notes what it saw.
LOOKER = textwrap.dedent(
    """
    import json, sys, duckdb
    path, out = sys.argv[1:]
    with open(out, "w") as log:
        print("ready", flush=True)
        while True:
            with duckdb.connect(path, read_only=True) as connection:
                seen = connection.execute(
                    '''
                    select
                        (select max(refresh) from meta.refreshes where status = 'published'),
                        (select count(*) from marts.fct_sales),
                        (select count(*) from marts.customer_360),
                        (select count(*) from ml.churn_scores)
                    '''
                ).fetchone()
            log.write(json.dumps(seen) + "\\n")
            log.flush()
    """
)
# Opens the file once and keeps it open, as a notebook does.
HOLDER = textwrap.dedent(
    """
    import sys, duckdb
    connection = duckdb.connect(sys.argv[1], read_only=True)
    count = lambda: connection.execute("select count(*) from marts.fct_sales").fetchone()[0]
    print(count(), flush=True)
    sys.stdin.readline()
    print(count(), flush=True)
    """
)


def test_readers_see_the_old_or_the_new_state_and_stop_nobody(tmp_path: Path) -> None:
    home = tmp_path / "home"
    landing = home / "landing"
    landing.mkdir(parents=True)
    (landing / "sales_1.csv").write_text("customer_id,sold_at,amount\nann,2024-01-05,10\nbob,2024-02-05,20\n")
    assert run_pipeline(home).succeeded
    published, log = str(home / "pulse.duckdb"), tmp_path / "seen.jsonl"

    with (
        subprocess.Popen([sys.executable, "-c", LOOKER, published, str(log)], stdout=subprocess.PIPE) as looker,
        subprocess.Popen(
            [sys.executable, "-c", HOLDER, published], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as holder,
    ):
        try:
            assert looker.stdout
            assert looker.stdout.readline() == b"ready\n"
            assert holder.stdout
            assert holder.stdin
            assert holder.stdout.readline() == "2\n"
            (landing / "sales_2.csv").write_text(
                "customer_id,sold_at,amount\ncyd,2024-03-05,10\ndan,2024-03-06,20\neve,2024-03-07,5\n"
            )
            second = run_pipeline(home)
            assert second.succeeded, second.output
            holder.stdin.write("\n")
            holder.stdin.flush()
            assert holder.stdout.readline() == "2\n"
            assert looker.poll() is None, "the looking reader met an error"
            looks = len(log.read_text().splitlines())
            while len(log.read_text().splitlines()) < looks + 5:
                assert looker.poll() is None
        finally:
            looker.kill()
            holder.kill()

    seen = [tuple(json.loads(line)) for line in log.read_text().splitlines() if line.endswith("]")]
    assert set(seen) == {(1, 2, 2, 6), (2, 5, 5, 15)}
    assert seen == sorted(seen)
