"""The trace names who did what, and how long it took; without it nothing is wrapped."""

import io
import logging
from types import SimpleNamespace

import pytest
from dicomweb_index_sql import SqlIndex
from dicomweb_storage_memory import MemoryStore

from dicomweb_server import hookimpl
from dicomweb_server.config import ConfigError
from dicomweb_server.http import current_context, requires
from dicomweb_server.interfaces.auth import Action
from dicomweb_server.interfaces.metadata import MetadataMode
from dicomweb_server.testing.apps import context_of, temporary_app
from dicomweb_server.testing.dicom import make_instance, path_of, uids_of
from dicomweb_server.tracing import account

TRACED = {"TraceHooks": True}
LOGIN = {"AuthenticationEnabled": True, "RegisteredUsers": {"alice": "secret"}}
AUTH = ("alice", "secret")


def extension(**hooks):
    return SimpleNamespace(**{name: hookimpl(function) for name, function in hooks.items()})


@pytest.fixture
def lines(caplog):
    """The fields of each line of the trace that has the given ones."""
    caplog.set_level(logging.INFO, "dicomweb_server.trace")

    def found(*keys):
        fields = [getattr(record, "fields", {}) for record in caplog.records]
        return [each for each in fields if set(keys) <= each.keys()]

    return found


def is_number(value):
    return isinstance(value, float | int) and not isinstance(value, bool) and value >= 0


# --- at start ------------------------------------------------------------------------------


def test_each_hook_is_told_with_who_answered_what(tmp_path, lines):
    with temporary_app(tmp_path, TRACED):
        pass
    told = {(each["hook"], each["extension"]): each for each in lines("hook")}
    assert told["register_storages", "storage-memory"]["answered"] == "a list of 1: MemoryStore"
    assert told["register_options", "metrics-prometheus"]["answered"] == "a list of 2: Option"
    assert told["register_blueprints", "signed-links"]["answered"] == "a list of 0"
    assert told["prepare_app", "proxy-headers"]["answered"] == "nothing"
    assert all(is_number(each["milliseconds"]) for each in told.values())


def test_a_hook_that_fails_is_told_too(tmp_path, lines):
    def fail():
        raise LookupError("no licence")

    mine = extension(register_storages=fail)
    with pytest.raises(ConfigError), temporary_app(tmp_path, TRACED, extensions=[("mine", mine)]):
        pass
    (told,) = (each for each in lines("hook") if each["extension"] == "mine")
    assert told["answered"] == "raised LookupError"


def test_each_extension_tells_how_long_its_start_took(tmp_path, lines):
    with temporary_app(tmp_path, TRACED) as app:
        names = {info.name for info in context_of(app).extensions.infos}
    told = {each["extension"]: each for each in lines("extension", "steps")}
    assert told.keys() == names
    assert set(told["index-sql"]["steps"]) == {"load", "register", "hooks", "build"}
    assert set(told["storage-memory"]["steps"]) == {"load", "register", "hooks"}
    for each in told.values():
        assert is_number(each["milliseconds"])
        assert all(is_number(spent) for spent in each["steps"].values())


def test_without_the_trace_the_start_is_told_in_the_debug_log(tmp_path, caplog):
    caplog.set_level(logging.DEBUG, "dicomweb_server")
    with temporary_app(tmp_path):
        pass
    records = [r for r in caplog.records if getattr(r, "fields", {}).get("steps")]
    assert {record.levelno for record in records} == {logging.DEBUG}
    told = {record.fields["extension"]: record.fields["steps"] for record in records}
    assert set(told["index-sql"]) == {"load", "register", "build"}


def test_a_file_tells_how_long_its_start_took(tmp_path, lines):
    (tmp_path / "mine.py").write_text("")
    with temporary_app(tmp_path, TRACED | {"Plugins": [str(tmp_path / "mine.py")]}):
        pass
    (told,) = (each for each in lines("steps") if each["extension"] == "mine")
    assert {"load", "register"} <= told["steps"].keys()


# --- requests ------------------------------------------------------------------------------


def requests(lines):
    return lines("request_id", "extensions")


def test_a_request_tells_who_worked_for_it(tmp_path, lines):
    with temporary_app(tmp_path, TRACED | LOGIN | {"IngestFilters": ["coerce"]}) as app:
        client = app.test_client()
        data = make_instance(PatientID="Secret")
        for method, path, how in (
            ("POST", "/dicom-web/studies", {"data": data, "content_type": "application/dicom"}),
            ("GET", "/dicom-web/studies?PatientID=Secret", {}),
            ("GET", f"/dicom-web/{path_of(data)}/metadata", {}),
        ):
            with client.open(path, method=method, auth=AUTH, **how) as answer:
                assert answer.status_code == 200
                assert answer.get_data()
            assert requests(lines)[-1]["request_id"] == answer.headers["X-Request-ID"]
        client.get("/dicom-web/nothing", buffered=True)
    stored, searched, read, refused = requests(lines)
    used = ("storage-filesystem", "index-sql", "filter-coerce", "auth-basic", "authz-authenticated")
    assert set(used) <= stored["extensions"].keys()
    assert (stored["method"], stored["path"]) == ("POST", "/dicom-web/studies")
    assert "storage-filesystem" not in searched["extensions"]
    assert {"metadata-full", "index-sql"} <= read["extensions"].keys()
    assert refused["status"] == 401
    assert "index-sql" not in refused["extensions"]
    for each in (stored, searched, read, refused):
        assert all(is_number(spent) for spent in each["extensions"].values())


def test_the_trace_tells_no_queries_and_no_values(tmp_path, caplog, lines):
    with temporary_app(tmp_path, TRACED) as app:
        client = app.test_client()
        client.get("/dicom-web/studies?PatientID=Secret", buffered=True)
        client.get("/a%0Ab", buffered=True)
    assert "/dicom-web/studies" in {each["path"] for each in requests(lines)}
    assert "/a%0Ab" in {each["path"] for each in requests(lines)}
    assert "Secret" not in caplog.text


def test_hooks_of_a_request_are_told_and_counted(tmp_path, lines):
    def listen(summary):
        raise RuntimeError("no disk")

    listener = extension(request_finished=listen)
    with temporary_app(tmp_path, TRACED, extensions=[("listener", listener)]) as app:
        client = app.test_client()
        client.get("/health/live", buffered=True)
        client.get("/metrics", buffered=True)
    told = [
        each for each in lines("hook") if each["hook"] in ("request_finished", "collect_metrics")
    ]
    answers = {each["extension"]: each["answered"] for each in told}
    assert answers["listener"] == "raised RuntimeError"
    assert answers["metrics-prometheus"].endswith(": Metric")
    live, metrics = requests(lines)
    assert set(live["extensions"]) == {"listener"}
    assert {"listener", "metrics-prometheus", "index-sql"} <= metrics["extensions"].keys()


def test_routes_of_extensions_are_counted(tmp_path, lines):
    (tmp_path / "bell.py").write_text(
        "from dicomweb_server import hookimpl\n"
        "from dicomweb_server.http import requires\n"
        "from dicomweb_server.interfaces.auth import Action\n"
        "@hookimpl\n"
        "def prepare_app(app, context):\n"
        "    @app.get('/bell')\n"
        "    @requires(Action.PUBLIC)\n"
        "    def bell():\n"
        "        return {'studies': context.index.statistics().studies}\n"
    )
    with temporary_app(tmp_path, TRACED | {"Plugins": [str(tmp_path / "bell.py")]}) as app:
        assert app.test_client().get("/bell", buffered=True).json == {"studies": 0}
    (told,) = requests(lines)
    assert set(told["extensions"]) == {"bell", "index-sql"}


class Clock:
    """Seconds that pass only when somebody says so."""

    now = 0.0

    def perf_counter(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(account, "time", clock)
    return clock


def slow_extension(clock):
    """A storage that takes 1 s for each write, a mode that takes 2 s before each instance."""

    class SlowStore(MemoryStore):
        name = "slow"

        def create(self):
            writer = super().create()

            class SlowWriter(type(writer)):
                def write(self, data):
                    clock.now += 1
                    super().write(data)

            writer.__class__ = SlowWriter
            return writer

        def open(self, key):
            clock.now += 4
            return io.BytesIO(super().open(key).read())

    class SlowMode(MetadataMode):
        name = "Slow"

        def bind(self, context):
            self.inner = context.providers.metadata_modes["Full"]

        def fragments(self, resource, scope):
            for each in self.inner.fragments(resource, scope):
                clock.now += 2
                yield each

    return extension(
        register_storages=lambda: [SlowStore], register_metadata_modes=lambda: [SlowMode]
    )


SLOW = {
    "Storages": {"default": {"Type": "slow"}},
    "DicomWeb": {"StudiesMetadata": "Slow", "EnableMetadataCache": False},
}


def test_writers_and_generators_are_counted_while_they_work(tmp_path, lines, clock):
    mine = ("mine", slow_extension(clock))
    with temporary_app(tmp_path, TRACED | SLOW, extensions=[mine]) as app:
        client = app.test_client()
        data = make_instance()
        client.post(
            "/dicom-web/studies", data=data, content_type="application/dicom", buffered=True
        )
        study = uids_of(data)[0]
        read = client.get(f"/dicom-web/studies/{study}/metadata", buffered=True)
        assert read.status_code == 200
        assert client.delete(f"/dicom-web/studies/{study}", buffered=True).status_code == 204
    stored, read, _ = requests(lines)
    assert stored["extensions"]["mine"] >= 1000
    assert stored["extensions"]["index-sql"] == 0
    assert read["extensions"] | {"mine": 2000, "metadata-full": 0} == read["extensions"]


# --- without it ----------------------------------------------------------------------------


def test_nothing_is_wrapped_and_nothing_told_without_the_trace(tmp_path, lines, caplog):
    def listen(summary):
        pass

    def ring():
        return str(type(current_context().index))

    def prepare(app):
        app.add_url_rule("/bell", "bell", requires(Action.PUBLIC)(ring))

    mine = extension(request_finished=listen, prepare_app=prepare)
    with temporary_app(tmp_path, extensions=[("mine", mine)]) as app:
        context = context_of(app)
        assert type(context.index) is SqlIndex
        ((_, function, _),) = context.extensions.listeners("request_finished")
        assert function is listen
        assert app.view_functions["bell"] is ring
        app.test_client().get("/bell", buffered=True)
    assert lines("hook") == requests(lines) == []
    assert not any(record.name == "dicomweb_server.trace" for record in caplog.records)


def test_commands_are_not_traced(tmp_path, lines):
    from dicomweb_server.web.app import create_context

    create_context({"StorageDirectory": str(tmp_path)} | TRACED).close()
    assert lines("hook") == []
