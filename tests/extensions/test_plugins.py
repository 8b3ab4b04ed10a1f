"""Finding and refusing extensions: each refusal names it and what is possible."""

from importlib.metadata import EntryPoint
from types import SimpleNamespace

import pytest
from dicomweb_storage_memory import MemoryStore
from flask import Blueprint

from dicomweb_server import hookimpl, plugins
from dicomweb_server.config import ConfigError, Option, text
from dicomweb_server.http import current_context, requires
from dicomweb_server.interfaces.auth import Action
from dicomweb_server.interfaces.storage import BlobStore
from dicomweb_server.plugins import load_extensions
from dicomweb_server.testing.apps import context_of, temporary_app
from dicomweb_server.web.app import create_app

SOURCE = """
from dicomweb_server import hookimpl
from dicomweb_storage_memory import MemoryStore

class Mine(MemoryStore):
    name = "{name}"

@hookimpl
def register_storages():
    return [Mine]
"""


def offering(**hooks):
    """An extension with these hooks."""
    functions = {name: staticmethod(hookimpl(function)) for name, function in hooks.items()}
    return type("Extension", (), functions)()


def storage(name):
    return type("Store", (MemoryStore,), {"name": name})


def start(tmp_path, config, **extra):
    with temporary_app(tmp_path, config, extensions=list(extra.items())) as app:
        return context_of(app)


def refused(tmp_path, config, *words, **extra):
    with pytest.raises(ConfigError) as caught:
        start(tmp_path, config, **extra)
    for word in words:
        assert word in str(caught.value)


# --- Plugins -------------------------------------------------------------------------------


def test_a_file_is_loaded(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(SOURCE.format(name="mine"))
    config = {"Plugins": [str(file)], "Storages": {"default": {"Type": "mine"}}}
    context = start(tmp_path, config)
    assert context.providers.storages["default"].name == "mine"
    info = next(info for info in context.extensions.infos if info.name == "mine")
    assert (info.status, info.origin, info.hooks) == ("loaded", str(file), ("register_storages",))


def test_a_folder_of_files_is_loaded(tmp_path):
    folder = tmp_path / "plugins"
    folder.mkdir()
    for name in ("one", "two", "_not_this"):
        (folder / f"{name}.py").write_text(SOURCE.format(name=name))
    (folder / "notes.txt").write_text("no Python")
    context = start(tmp_path, {"Plugins": [str(folder)]})
    names = {info.name for info in context.extensions.infos}
    assert {"one", "two"} <= names
    assert "_not_this" not in names


def test_a_package_is_one_extension(tmp_path):
    folder = tmp_path / "package"
    folder.mkdir()
    (folder / "__init__.py").write_text(SOURCE.format(name="packaged"))
    context = start(tmp_path, {"Plugins": [str(folder)]})
    assert "package" in {info.name for info in context.extensions.infos}


def test_a_package_imports_its_own_modules(tmp_path):
    folder = tmp_path / "wholepackage"
    folder.mkdir()
    (folder / "store.py").write_text(SOURCE.format(name="inner"))
    (folder / "__init__.py").write_text("from .store import register_storages\n")
    config = {"Plugins": [str(folder)], "Storages": {"default": {"Type": "inner"}}}
    assert start(tmp_path, config).providers.storages["default"].name == "inner"


def test_packages_of_a_folder_are_loaded(tmp_path):
    for name in ("pkg1", "_not_this"):
        (tmp_path / "holder" / name).mkdir(parents=True)
        (tmp_path / "holder" / name / "__init__.py").write_text("from .store import *\n")
        (tmp_path / "holder" / name / "store.py").write_text(SOURCE.format(name=name))
    config = {"Plugins": [str(tmp_path / "holder")], "Storages": {"default": {"Type": "pkg1"}}}
    context = start(tmp_path, config)
    assert context.providers.storages["default"].name == "pkg1"
    assert "_not_this" not in {info.name for info in context.extensions.infos}


@pytest.mark.parametrize("inside", ["", "_helper.py", "notes.txt", "deep/er/x.py"])
def test_a_folder_without_extensions_stops_the_start(tmp_path, inside):
    folder = tmp_path / "plugins"
    folder.mkdir()
    if inside:
        (folder / inside).parent.mkdir(parents=True, exist_ok=True)
        (folder / inside).write_text("")
    refused(tmp_path, {"Plugins": [str(folder)]}, str(folder), "no extension", ".py", "package")


USER_OF_HELPER = """
from dicomweb_server import hookimpl
from dicomweb_storage_memory import MemoryStore
import helpz
from shared_pkg.deep import LATER
import json

assert json.dumps([]) == "[]"

class Mine(MemoryStore):
    name = helpz.NAME

@hookimpl
def register_storages():
    import _late
    assert _late.NAME == helpz.NAME
    return [Mine]
"""


def several_files(folder, name):
    (folder / "shared_pkg").mkdir(parents=True)
    (folder / "main_ext.py").write_text(USER_OF_HELPER)
    (folder / "helpz.py").write_text(f"NAME = {name!r}\n")
    (folder / "_late.py").write_text(f"NAME = {name!r}\n")
    (folder / "json.py").write_text("raise RuntimeError('hides what is installed')\n")
    (folder / "shared_pkg" / "__init__.py").write_text("")
    (folder / "shared_pkg" / "deep.py").write_text("LATER = 1\n")
    return folder


def test_files_of_a_folder_import_each_other(tmp_path):
    folder = several_files(tmp_path / "fld", "helped")
    (folder / "json.py").unlink()
    config = {"Plugins": [str(folder)], "Storages": {"default": {"Type": "helped"}}}
    assert start(tmp_path, config).providers.storages["default"].name == "helped"


def test_a_file_imports_what_stands_beside_it_and_hides_nothing_installed(tmp_path):
    folder = several_files(tmp_path / "fld", "alone")
    config = {
        "Plugins": [str(folder / "main_ext.py")],
        "Storages": {"default": {"Type": "alone"}},
    }
    context = start(tmp_path, config)
    assert context.providers.storages["default"].name == "alone"
    assert "helpz" not in {info.name for info in context.extensions.infos}


def test_helpers_of_one_name_in_two_folders_are_two(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "_helper.py").write_text(f"NAME = {name!r}\n")
        source = SOURCE.replace('"{name}"', "_helper.NAME")
        (tmp_path / name / f"{name}.py").write_text("import _helper\n" + source)
    config = {
        "Plugins": [str(tmp_path / "one"), str(tmp_path / "two")],
        "Storages": {"a": {"Type": "one"}, "b": {"Type": "two"}},
        "DefaultStorage": "a",
    }
    assert set(start(tmp_path, config).providers.storages) == {"a", "b"}


def test_a_module_that_an_extension_shares_with_another_is_one(tmp_path):
    (tmp_path / "fld").mkdir()
    (tmp_path / "fld" / "apple.py").write_text("import zebra\nzebra.SEEN.append('apple')\n")
    (tmp_path / "fld" / "zebra.py").write_text("SEEN = ['zebra']\n")
    context = start(tmp_path, {"Plugins": [str(tmp_path / "fld")]})
    assert context.extensions.manager.get_plugin("zebra").SEEN == ["zebra", "apple"]


def test_paths_are_relative_to_the_configuration(tmp_path):
    (tmp_path / "mine.py").write_text(SOURCE.format(name="mine"))
    file = tmp_path / "config.json"
    file.write_text('{"Plugins": ["mine.py"], "StorageDirectory": "data"}')
    app = create_app(file)
    assert "mine" in {info.name for info in context_of(app).extensions.infos}
    context_of(app).close()


def test_a_missing_path_stops_the_start(tmp_path):
    refused(tmp_path, {"Plugins": ["nowhere.py"]}, "Plugins", "nowhere.py", ".py file", "folder")


@pytest.mark.parametrize("suffix", [".so", ".dll"])
def test_a_native_library_is_a_warning(tmp_path, suffix):
    context = start(tmp_path, {"Plugins": [f"/usr/lib/libOrthancDicomWeb{suffix}"]})
    assert any(f"libOrthancDicomWeb{suffix}" in text for text in context.extensions.warnings)


def test_a_file_that_is_no_python_stops_the_start(tmp_path):
    for name in ("notes.txt", "c.json"):
        file = tmp_path / name
        file.write_text("hello")
        words = (f"Plugins: {file} is not a Python source file", ".py file", "folder")
        with pytest.raises(ConfigError) as caught:
            start(tmp_path, {"Plugins": [str(file)]})
        assert all(word in str(caught.value) for word in words)
        assert "Error" not in str(caught.value)


@pytest.mark.parametrize("source", ["import nothing_like_this", "def broken(:", "1 / 0"])
def test_a_file_that_fails_stops_the_start(tmp_path, source):
    file = tmp_path / "bad.py"
    file.write_text(source)
    refused(tmp_path, {"Plugins": [str(file)]}, "bad.py", "failed to import")


# --- DisabledExtensions --------------------------------------------------------------------


def test_a_disabled_extension_is_not_loaded(tmp_path):
    context = start(tmp_path, {"DisabledExtensions": ["proxy-headers"]})
    info = next(info for info in context.extensions.infos if info.name == "proxy-headers")
    assert info.status == "disabled"


def test_options_of_a_disabled_extension_are_unknown(tmp_path):
    config = {"DisabledExtensions": ["proxy-headers"], "TrustedProxies": []}
    refused(tmp_path, config, "TrustedProxies", "proxy-headers", "DisabledExtensions")


def test_options_of_a_disabled_file_are_explained_too(tmp_path):
    (tmp_path / "mine.py").write_text(
        "from dicomweb_server import hookimpl\n"
        "from dicomweb_server.config import Option, text\n"
        "@hookimpl\n"
        "def register_options(): return [Option('Mine.Colour', '', 'A colour.', text)]\n"
    )
    config = {"Plugins": [str(tmp_path / "mine.py")], "DisabledExtensions": ["mine"]}
    refused(tmp_path, config | {"Mine": {"Colour": ""}}, "unknown option Mine", "extension mine")
    refused(tmp_path, config | {"HttpPrt": 1}, "did you mean HttpPort?")


def test_disabling_what_nobody_offers_stops_the_start(tmp_path):
    refused(
        tmp_path,
        {"DisabledExtensions": ["proxy-header"]},
        *("DisabledExtensions", "proxy-header", "proxy-headers", "index-sql"),
    )


def test_what_the_configuration_needs_cannot_be_disabled(tmp_path):
    refused(tmp_path, {"DisabledExtensions": ["storage-filesystem"]}, "filesystem", "memory")


# --- names ---------------------------------------------------------------------------------


def test_two_extensions_of_one_name_stop_the_start(tmp_path):
    refused(
        tmp_path,
        {},
        *("two extensions", "storage-memory", "dicomweb-server", "the program"),
        **{"storage-memory": offering()},
    )


def test_two_extensions_that_offer_one_class_name_stop_the_start(tmp_path):
    refused(
        tmp_path,
        {},
        *("'memory'", "storage-memory", "rival", "DisabledExtensions"),
        rival=offering(register_storages=lambda: [storage("memory")]),
    )


def test_disabling_one_of_two_lets_the_other_work(tmp_path):
    rival = offering(register_storages=lambda: [storage("memory")])
    config = {"DisabledExtensions": ["storage-memory"], "Storages": {"a": {"Type": "memory"}}}
    context = start(tmp_path, config | {"DefaultStorage": "a"}, rival=rival)
    assert type(context.providers.storages["a"]).__name__ == "Store"


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"Storages": {"a": {"Type": "s3"}}}, ("Storages.a", "'s3'", "filesystem", "memory")),
        ({"Index": {"Type": "mongo"}}, ("Index", "'mongo'", "sql")),
        ({"StateStore": {"Type": "redis"}}, ("StateStore", "'redis'", "sql")),
        ({"Authorization": {"Type": "casbin"}}, ("Authorization", "'casbin'", "allow-authent")),
        ({"Authentication": {"Order": ["ldap"]}}, ("Authentication.Order", "'ldap'", "basic")),
        ({"DicomWeb": {"StudiesMetadata": "Fulll"}}, ("StudiesMetadata", "'Fulll'", "Full")),
        ({"DefaultStorage": "b"}, ("DefaultStorage", "'b'", "default")),
        ({"Index": {"Tpye": "sql"}}, ("Index", "Tpye", "Url")),
        ({"Index": {"BusyTimeout": "long"}}, ("Index.BusyTimeout", "long")),
        ({"Storages": {"a": 1}}, ("Storages.a", "object")),
        ({"Storages": {"a": {"Type": 1}}}, ("Storages.a.Type", "string")),
        ({"Storages": {"a": {"Pat": ""}}}, ("Storages.a", "Pat;", "mean Path?", "Type, Path")),
        ({"Authentication": {"basic": {"Foo": 1}}}, ("Authentication.basic:", "Foo", "none")),
        ({"Authentication": {"basic": 1}}, ("Authentication.basic", "object")),
        ({"Index": {"Url": "foo://x"}}, ("Index: Url", "'foo'", "sqlite:///")),
        ({"Index": {"Url": "sqlite://"}}, ("Index: Url", "no file", "sqlite:///")),
    ],
)
def test_a_name_that_nobody_offers_stops_the_start(tmp_path, config, words):
    refused(tmp_path, config, *words)


def test_two_that_declare_one_option_stop_the_start(tmp_path):
    mine = offering(register_options=lambda: [Option("HttpPort", "", "", text)])
    refused(tmp_path, {}, "mine", "HttpPort", mine=mine)


# --- extensions that are wrong -------------------------------------------------------------


def test_a_misspelt_hook_stops_the_start(tmp_path):
    mine = offering(register_storage=lambda: [])
    words = ("extension mine: unknown hook register_storage;", "did you mean register_storages?")
    refused(tmp_path, {}, *words, "prepare_app", mine=mine)


@pytest.mark.parametrize("options", [{"wrapper": True}, {"hookwrapper": True}], ids=str)
def test_a_hook_wrapper_stops_the_start(tmp_path, options):
    @hookimpl(**options)
    def prepare_app(app):
        yield

    mine = SimpleNamespace(prepare_app=prepare_app)
    refused(tmp_path, {}, "extension mine", "prepare_app", "wrapper", "plain function", mine=mine)


def test_what_is_installed_and_given_counts_once(tmp_path):
    import dicomweb_storage_memory

    given = {"storage-memory": dicomweb_storage_memory}
    names = [info.name for info in start(tmp_path, {}, **given).extensions.infos]
    assert names.count("storage-memory") == 1


def test_a_hook_that_fails_while_the_application_is_made_is_named(tmp_path):
    def prepare(app, context):
        raise RuntimeError("no licence")

    refused(tmp_path, {}, "extension mine", "no licence", mine=offering(prepare_app=prepare))


def test_a_hook_with_a_parameter_that_does_not_exist_stops_the_start(tmp_path):
    mine = offering(register_commands=lambda application: None)
    refused(tmp_path, {}, "mine", "application", mine=mine)


@pytest.mark.parametrize(
    ("offered", "words"),
    [
        (None, ("must return a list",)),
        ([object()], ("BlobStore",)),
        ([BlobStore], ("BlobStore", "lacks", "create")),
        ([int], ("BlobStore", "int")),
        ([type("Nameless", (MemoryStore,), {"name": ""})], ("Nameless", "no name")),
    ],
)
def test_a_hook_that_offers_something_else_stops_the_start(tmp_path, offered, words):
    mine = offering(register_storages=lambda: offered)
    refused(tmp_path, {}, "mine", *words, mine=mine)


def test_a_hook_that_fails_stops_the_start(tmp_path):
    def fail():
        raise RuntimeError("no licence")

    refused(tmp_path, {}, "mine", "no licence", mine=offering(register_storages=fail))


@pytest.fixture
def installed(monkeypatch):
    """Lets a test install entry points."""

    def install(name, value):
        point = EntryPoint(name, value, plugins.GROUP)
        monkeypatch.setattr(plugins, "entry_points", lambda group: [point])

    return install


def test_an_installed_extension_that_fails_on_import_stops_the_start(installed):
    installed("broken-lock", "nothing_like_this")
    with pytest.raises(ConfigError) as caught:
        load_extensions()
    for word in ("broken-lock", "nothing_like_this", "DisabledExtensions"):
        assert word in str(caught.value)


def test_unless_it_is_disabled(installed):
    installed("broken-lock", "nothing_like_this")
    (info,) = load_extensions(disabled=["broken-lock"]).infos
    assert (info.name, info.status) == ("broken-lock", "disabled")


def test_an_installed_extension_that_ends_the_program_is_named_too(
    installed, tmp_path, monkeypatch
):
    (tmp_path / "quitter.py").write_text("raise SystemExit(3)")
    monkeypatch.syspath_prepend(tmp_path)
    installed("quitter", "quitter")
    with pytest.raises(ConfigError, match="quitter"):
        load_extensions()


# --- what extensions can do ----------------------------------------------------------------


def test_an_extension_declares_options_and_reads_them(tmp_path):
    option = Option("Mine.Colour", "red", "Which colour.", text)
    mine = offering(register_options=lambda: [option])
    assert start(tmp_path, {}, mine=mine).config[option] == "red"
    context = start(tmp_path, {"Mine": {"Colour": "blue"}}, mine=mine)
    assert context.config[option] == "blue"
    refused(tmp_path, {"Mine": {"Color": "blue"}}, "Mine.Color", "Mine.Colour", mine=mine)


def test_every_application_has_extensions_of_its_own(tmp_path):
    with_mine = start(tmp_path, {}, mine=offering())
    without = start(tmp_path, {})
    assert "mine" in {info.name for info in with_mine.extensions.infos}
    assert "mine" not in {info.name for info in without.extensions.infos}


def test_a_route_without_permission_stops_the_start(tmp_path):
    def prepare(app, context):
        app.add_url_rule("/open-door", "open_door", lambda: "hello")

    refused(tmp_path, {}, "open_door", "requires", mine=offering(prepare_app=prepare))


def test_a_namespace_of_functions_is_an_extension(tmp_path):
    mine = SimpleNamespace(register_storages=hookimpl(lambda: [storage("mine")]))
    context = start(tmp_path, {"Storages": {"default": {"Type": "mine"}}}, mine=mine)
    assert context.providers.storages["default"].name == "mine"


# --- blueprints ----------------------------------------------------------------------------


def with_blueprint(view, name="mine", path="/mine"):
    class Extension:
        @hookimpl
        def register_blueprints(self, context):
            routes = Blueprint(name, __name__)
            routes.add_url_rule(path, "view", view)
            return [routes]

    return [("mine", Extension())]


def test_an_extension_adds_routes(tmp_path):
    @requires(Action.SEARCH)
    def view():
        return {"port": current_context().config.values.get("HttpPort", 0)}

    with temporary_app(tmp_path, {"HttpPort": 9}, extensions=with_blueprint(view)) as app:
        assert app.test_client().get("/mine").json == {"port": 9}


def test_a_route_of_the_core_wins(tmp_path):
    view = requires(Action.PUBLIC)(lambda: "other")
    extensions = with_blueprint(view, path="/extensions")
    with temporary_app(tmp_path, extensions=extensions) as app:
        assert "in use" in app.test_client().get("/extensions").json


def returning(value):
    class Extension:
        @hookimpl
        def register_blueprints(self):
            return value

    return [("mine", Extension())]


@pytest.mark.parametrize(
    ("extensions", "words"),
    [
        (with_blueprint(lambda: "open"), "mine.view declares no permission"),
        (with_blueprint(requires(Action.READ)(lambda: ""), name="studies"), "extension mine"),
        (returning(None), "register_blueprints must return a list"),
        (returning(["x"]), "must return Flask blueprints, found 'x'"),
    ],
)
def test_a_wrong_blueprint_stops_the_start(tmp_path, extensions, words):
    with (
        pytest.raises(ConfigError, match=words),
        temporary_app(tmp_path, extensions=extensions),
    ):
        pass
