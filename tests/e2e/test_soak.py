"""A short run of the soak: mixed clients, killed workers, a database that crashes."""

import pytest

from benchmarks.soak import soak


@pytest.mark.slow
def test_every_answer_is_right_while_workers_and_the_database_are_killed(postgresql):
    report, checked = soak(seconds=10, clients=6, pause=3)
    assert report.wrong == []
    assert "0 contradictions" in checked
    assert report.counts["store 200"] > 10
    assert report.counts["retrieve 200"] > 10
