"""The kit in the hands of a stranger: it works outside of this tree, and it finds mistakes."""

import re
import subprocess
import sys
import textwrap

import pytest

BEGIN = """
    import shutil
    from dataclasses import replace
    from datetime import UTC, datetime
    import pytest
    from dicomweb_storage_memory import MemoryStore
    from dicomweb_index_sql import SqlIndex, SqlStateStore
    from dicomweb_server.interfaces.auth import EVERYTHING
    from dicomweb_server.testing.contracts import *
    from dicomweb_server.testing.providers import build_provider

    @pytest.fixture(scope="session")
    def migrated(tmp_path_factory):
        folder = tmp_path_factory.mktemp("tables")
        index = build_provider(SqlIndex, folder)
        index.migrate()
        index.close()
        return folder
"""


def run(tmp_path, source, *options):
    """(class, test) of those that failed, and how many passed."""
    (tmp_path / "test_stranger.py").write_text(textwrap.dedent(BEGIN) + textwrap.dedent(source))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist"]
    done = subprocess.run(
        [*command, "-rf", "--tb=no", *options, "."],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    failed = set(re.findall(r"^FAILED \S+?::(\w+)::(\w+)", done.stdout, re.MULTILINE))
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed or failed, done.stdout + done.stderr
    return failed, int(passed.group(1)) if passed else 0


def test_fixtures_are_there_without_any_import(tmp_path):
    source = """
        @pytest.mark.dicomweb_config({"Name": "of the class", "ReadOnly": True})
        class TestApp:
            @pytest.mark.dicomweb_config({"Name": "of the test"})
            def test_options_of_markers(self, dicomweb_context):
                from dicomweb_server.settings import NAME, READ_ONLY
                assert dicomweb_context.config[NAME] == "of the test"
                assert dicomweb_context.config[READ_ONLY] is True

            def test_client(self, dicomweb_client):
                assert dicomweb_client.get("/dicom-web/studies").json == []

        class TestOwn:
            @pytest.fixture
            def dicomweb_config(self):
                return {"DicomWeb": {"Root": "/mine/"}}

            def test_root(self, dicomweb_client):
                assert dicomweb_client.get("/mine/studies").status_code == 200
    """
    assert run(tmp_path, source, "--strict-markers") == (set(), 3)


def test_a_contract_needs_its_fixture(tmp_path):
    source = "class TestStore(BlobStoreContract):\n    pass\n"
    (tmp_path / "test_stranger.py").write_text(textwrap.dedent(BEGIN) + source)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-p", "no:xdist"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "override the fixture `store`" in done.stdout


# One mistake each, and the tests that must find it.
WRONG_STORES = {
    "DeleteRaises": (
        "def delete(self, key): del self._blobs[key]",
        {"test_deleting_is_done_once_and_never_fails"},
    ),
    "RangesAreWhole": (
        "def read(self, key, offset, length): return self._blob(key)",
        {"test_a_range_is_shorter_only_at_the_end"},
    ),
    "CommitsWhatIsThere": (
        "def commit(self, writers): "
        "self._blobs |= {w.key: (bytes(w.data), datetime.now(UTC)) for w in writers}",
        {"test_an_unfinished_blob_cannot_be_committed", "test_an_aborted_writer_refuses_more"},
    ),
    "RaisesErrorsOfPython": (
        "def size(self, key): return len(self._blobs[key][0])",
        {"test_an_unknown_key_is_not_found", "test_nobody_sees_a_blob_before_its_commit"},
    ),
    "ForgetsBlobs": ("def iterate(self): return iter(())", {"test_iterate_lists_every_blob"}),
}
WRONG_INDEXES = {
    "VersionsAreCounts": (
        "def version(self, resource, scope): "
        "return str(len(list(self.instances(resource, scope)))) "
        "if super().version(resource, scope) else None",
        {"test_a_version_never_comes_back"},
    ),
    "IgnoresScopes": (
        "def search(self, query, scope, *, attributes=False): "
        "return super().search(query, EVERYTHING, attributes=attributes)",
        {"test_who_may_see_nothing_finds_nothing"},
    ),
    "IgnoresConditions": (
        "def search(self, query, scope, *, attributes=False): "
        "return super().search(replace(query, conditions=()), scope, attributes=attributes)",
        {"test_every_kind_of_condition_finds_what_the_predicate_accepts"},
    ),
    "IgnoresTombstones": (
        "def reindex(self, news): return len(self.add(news))",
        {"test_deleted_blobs_stay_deleted"},
    ),
    "UnorderedLog": (
        "def changes(self, *, after=0, limit=100): "
        "return super().changes(after=after, limit=limit)[::-1]",
        {"test_the_log_tells_what_is_new", "test_the_log_is_read_in_pages"},
    ),
}
WRONG_STATES = {
    "ComparesNothing": (
        "def put(self, namespace, key, value, *, expected=None): "
        "return super().put(namespace, key, value)",
        {"test_writing_over_another_version_is_a_conflict", "test_zero_expects_nothing_there"},
    ),
    "EverybodyHolds": (
        "def acquire(self, lease, holder, seconds): return True",
        {"test_a_lease_has_one_holder", "test_of_many_that_want_a_lease_one_has_it"},
    ),
}
CLASS = """
class {name}({base}):
    {change}

class Test{name}({contract}):
    @pytest.fixture
    def {fixture}(self, tmp_path{needs}):
        {prepare}
        return build_provider({name}, tmp_path)
"""
WITH_TABLES = "shutil.copytree(migrated, tmp_path, dirs_exist_ok=True)"
KINDS = {
    "store": ("MemoryStore", "BlobStoreContract", "", "pass", WRONG_STORES),
    "index": ("SqlIndex", "IndexContract", ", migrated", WITH_TABLES, WRONG_INDEXES),
    "state": ("SqlStateStore", "StateStoreContract", ", migrated", WITH_TABLES, WRONG_STATES),
}


@pytest.mark.parametrize("fixture", KINDS)
def test_mistakes_are_found(tmp_path, fixture):
    base, contract, needs, prepare, mistakes = KINDS[fixture]
    same = {"base": base, "contract": contract, "fixture": fixture}
    same |= {"needs": needs, "prepare": prepare}
    source = "".join(
        CLASS.format(name=name, change=change, **same) for name, (change, _) in mistakes.items()
    )
    names = " or ".join(sorted(set().union(*(expected for _, expected in mistakes.values()))))
    failed, passed = run(tmp_path, source, "-k", names)
    for name, (_, expected) in mistakes.items():
        assert expected <= {test for owner, test in failed if owner == f"Test{name}"}, name
    assert passed, "the same tests pass where there is another mistake"
