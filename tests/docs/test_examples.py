"""Every example of the documents does what the text around it says."""

import json
import re
from typing import ClassVar

import pytest
from click.testing import CliRunner

from dicomweb_server.cli.main import cli
from dicomweb_server.cli.skeletons import KINDS as KINDS_OF_SKELETONS
from dicomweb_server.config import read_file
from dicomweb_server.ps318.paths import Resource
from dicomweb_server.testing.apps import context_of, temporary_app
from dicomweb_server.testing.contracts import (
    AuthenticatorContract,
    BlobStoreContract,
    IngestFilterContract,
)
from dicomweb_server.testing.dicom import make_instance, path_of
from dicomweb_server.testing.providers import build_provider
from tests.docs.helpers import ROOT, example, examples, indented_block, load, written

MANUAL = "docs/extensions.md"
KINDS = {
    "register_storages": "flat_storage.py",
    "register_authenticators": "token_auth.py",
    "register_ingest_filters": "study_desk.py",
    "prepare_app": "site.py",
    "collect_metrics": "wards.py",
}
"""A hook, and the example that shows it."""
PYTHON = [name for name in examples(MANUAL) if name.endswith(".py")]


def test_there_is_an_example_of_each_kind():
    assert set(KINDS.values()) == set(PYTHON)


@pytest.mark.parametrize("name", PYTHON)
def test_an_example_is_short_and_complete(tmp_path, name):
    plugin = written(tmp_path, MANUAL, name)
    source = plugin.read_text(encoding="utf-8")
    assert len(source.splitlines()) < 40
    with temporary_app(tmp_path, {"Plugins": [str(plugin)]}) as app:
        (info,) = (info for info in context_of(app).extensions.infos if info.name == plugin.stem)
    assert info.status == "loaded"
    assert {hook for hook, shown in KINDS.items() if shown == name} <= set(info.hooks)
    assert load(plugin).__doc__


class TestStorageExample(BlobStoreContract):
    @pytest.fixture
    def store(self, tmp_path):
        module = load(written(tmp_path, MANUAL, "flat_storage.py"))
        return build_provider(module.FlatStore, tmp_path, {"Folder": "flat"})


def test_the_storage_holds_an_archive(tmp_path):
    plugin = written(tmp_path, MANUAL, "flat_storage.py")
    folder = tmp_path / "files"
    config = {
        "Plugins": [str(plugin)],
        "Storages": {"default": {"Type": "flat", "Folder": str(folder)}},
    }
    data = make_instance()
    with temporary_app(tmp_path, config) as app:
        client = app.test_client()
        stored = client.post("/dicom-web/studies", data=data, content_type="application/dicom")
        assert stored.status_code == 200
        assert [path.read_bytes() for path in folder.iterdir()] == [data]
        back = client.get(
            f"/dicom-web/{path_of(data)}",
            headers={"Accept": "application/dicom; transfer-syntax=*"},
        )
        assert back.data == data
        study = Resource(path_of(data).split("/")[1]).path
        assert client.delete(f"/dicom-web/{study}").status_code == 204
        assert list(folder.iterdir()) == []


class TestAuthenticatorExample(AuthenticatorContract):
    RIGHT: ClassVar = {"Authorization": "Bearer correct"}
    WRONG = ({"Authorization": "Bearer guessed"},)
    USER = "viewer"

    @pytest.fixture
    def authenticator(self, tmp_path):
        module = load(written(tmp_path, MANUAL, "token_auth.py"))
        return build_provider(
            module.TokenAuthenticator, tmp_path, {"Tokens": {"viewer": "correct"}}
        )


def test_the_authenticator_is_the_lock_of_a_server(tmp_path):
    plugin = written(tmp_path, MANUAL, "token_auth.py")
    config = {
        "Plugins": [str(plugin)],
        "AuthenticationEnabled": True,
        "Authentication": {
            "Order": ["plain-token", "basic"],
            "plain-token": {"Tokens": {"viewer": "abc"}},
        },
        "RegisteredUsers": {"alice": "secret"},
    }
    with temporary_app(tmp_path, config) as app:
        client = app.test_client()

        def status(**headers):
            return client.get("/dicom-web/studies", headers=headers).status_code

        assert status() == 401
        assert status(Authorization="Bearer wrong") == 401
        assert status(Authorization="Bearer abc") == 200
        # What is not for the token authenticator goes on to the next one.
        assert client.get("/dicom-web/studies", auth=("alice", "secret")).status_code == 200


class TestIngestFilterExample(IngestFilterContract):
    @pytest.fixture
    def ingest_filter(self, tmp_path):
        module = load(written(tmp_path, MANUAL, "study_desk.py"))
        return build_provider(module.DeskFilter, tmp_path)


def test_the_ingest_filter_sits_at_the_desk(tmp_path):
    plugin = written(tmp_path, MANUAL, "study_desk.py")
    with temporary_app(tmp_path, {"Plugins": [str(plugin)], "IngestFilters": ["desk"]}) as app:
        client = app.test_client()

        def post(**attributes):
            data = make_instance(**attributes)
            return client.post("/dicom-web/studies", data=data, content_type="application/dicom")

        assert post(StudyDescription="knee").status_code == 200
        assert post().status_code == 202
        assert post(SOPClassUID="1.2.840.10008.5.1.4.1.1.66").status_code == 409
        found = client.get("/dicom-web/studies?includefield=StudyDescription").json
        assert sorted(each["00081030"]["Value"] for each in found) == [["(none)"], ["knee"]]


def test_the_option_is_told_by_the_route(tmp_path):
    plugin = written(tmp_path, MANUAL, "site.py")
    with temporary_app(tmp_path, {"Plugins": [str(plugin)], "Site": "Ward 7"}) as app:
        client = app.test_client()
        client.post("/dicom-web/studies", data=make_instance(), content_type="application/dicom")
        assert client.get("/site").json == {"site": "Ward 7", "studies": 1}


def test_the_number_stands_beside_the_others(tmp_path):
    plugin = written(tmp_path, MANUAL, "wards.py")
    with temporary_app(tmp_path, {"Plugins": [str(plugin)]}) as app:
        client = app.test_client()
        client.post("/dicom-web/studies", data=make_instance(), content_type="application/dicom")
        lines = client.get("/metrics").get_data(as_text=True).splitlines()
    assert 'ward_studies{ward="7"} 0.05' in lines


def test_the_extension_of_the_readme(tmp_path):
    plugin = tmp_path / "ticket.py"
    plugin.write_text(indented_block("README.md", "class TicketAuthenticator"), encoding="utf-8")
    config = {
        "Plugins": [str(plugin)],
        "Authentication": {"Order": ["ticket"]},
        "AuthenticationEnabled": True,
    }
    with temporary_app(tmp_path, config) as app:
        client = app.test_client()

        def status(**headers):
            return client.get("/dicom-web/studies", headers=headers).status_code

        assert status() == 401
        assert status(**{"X-Ticket": "mine"}) == 401
        assert status(**{"X-Ticket": "let-me-in"}) == 200


def test_the_section_of_the_old_manual_changes_nothing(tmp_path):
    path = written(tmp_path, "docs/configuration.md", "dicomweb-section.json")
    section = json.loads(json.dumps(read_file(path, {})))
    with temporary_app(tmp_path, section) as app:
        assert context_of(app).config.warnings == ()
        client = app.test_client()
        client.post("/dicom-web/studies", data=make_instance(), content_type="application/dicom")
        (study,) = client.get("/dicom-web/studies").json
        # "localhost" as Host would have fixed the name; the one that was called counts.
        url = client.get("/dicom-web/studies", headers={"Host": "127.0.0.1:9"}).json[0]["00081190"]
        assert url["Value"][0].startswith("http://127.0.0.1:9/dicom-web/studies/")
        assert study["0020000D"]["Value"]


@pytest.mark.parametrize("name", PYTHON)
def test_examples_import_the_public_api_only(name):
    public = (
        *("dicomweb_server import", "dicomweb_server.interfaces.", "dicomweb_server.config "),
        "dicomweb_server.dicom ",
    )
    lines = [line for line in example(MANUAL, name).splitlines() if "dicomweb_server" in line]
    assert all(
        line.removeprefix("from ").startswith((*public, "dicomweb_server.http ")) for line in lines
    )


def test_the_commands_of_the_beginning_do_what_the_text_says(tmp_path, monkeypatch):
    text = (ROOT / MANUAL).read_text(encoding="utf-8")
    (line,) = re.findall(r"^    dicomweb-server (extension new .*)$", text, re.MULTILINE)
    (folder,) = re.findall(r"^    cd (\S+)$", text, re.MULTILINE)
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(cli, line.split())
    assert done.exit_code == 0, done.output
    assert (tmp_path / folder / "README.md").is_file()
    kinds = text.partition("`--kind` is")[2].partition(";")[0]
    assert set(re.findall(r"`([a-z-]+)`", kinds)) == set(KINDS_OF_SKELETONS)
