"""Measures the index on PostgreSQL beside the one on SQLite, in turns in one run.

    python -m benchmarks.postgresql --only qido.patient,metadata.instance,stow

PostgreSQL runs on the same machine, with the settings that it comes with.
"""

from __future__ import annotations

import argparse

from benchmarks.run import run
from dicomweb_server.testing.postgresql import RunningPostgreSQL
from dicomweb_server.testing.server import RunningServer


def main() -> None:
    """Start PostgreSQL and two servers, and measure them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seconds", type=float, default=2.0, help="length of one turn")
    parser.add_argument("--only", default="", help="parts of names of workloads, with commas")
    arguments = parser.parse_args()
    only = [part for part in arguments.only.split(",") if part]
    with RunningPostgreSQL(durable=True) as postgresql:
        url = postgresql.local_url(postgresql.create_database())
        config = {"LogLevel": "warning"}
        with (
            RunningServer(config) as sqlite,
            RunningServer({**config, "Index": {"Url": url}}) as other,
        ):
            run({"sqlite": sqlite.url, "postgresql": other.url}, arguments.seconds, only)


if __name__ == "__main__":
    main()
