"""`extension new` makes an extension of each kind that works at once, and refuses what cannot."""

import ast
import json
import os
import subprocess
import sys
import tomllib
from importlib.metadata import distribution

import pytest
from click.testing import CliRunner

from dicomweb_server.cli.main import cli
from dicomweb_server.cli.skeletons import KINDS
from dicomweb_server.config import read_file
from dicomweb_server.testing.apps import context_of, temporary_app
from tests.docs.helpers import ROOT
from tests.structure.test_imports import PUBLIC, imported_by, parts_imported

LONGEST = "a" + "-b2" * 10 + "c"
WITHOUT_CACHE = ["-p", "no:cacheprovider", "-p", "no:xdist"]


def new(folder, *arguments):
    return CliRunner().invoke(cli, ["extension", "new", *arguments, "--directory", str(folder)])


def made(folder, name, kind):
    done = new(folder, name, "--kind", kind)
    assert done.exit_code == 0, done.output
    return folder / f"dicomweb-{name}"


def run(folder, *command):
    """What a tool says in a folder; the project is found as if it were installed."""
    return subprocess.run(
        [sys.executable, "-m", *command],
        cwd=folder,
        env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )


# --- what is made --------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_its_tests_pass_at_once(tmp_path, kind):
    folder = made(tmp_path, "ward-notes", kind)
    done = run(folder, "pytest", "-q", *WITHOUT_CACHE)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout


@pytest.mark.parametrize("name", ["w", LONGEST])
def test_its_code_passes_our_linter_and_its_own(tmp_path, name):
    pytest.importorskip("ruff")
    assert len(LONGEST) == 32
    folders = [made(tmp_path / kind, name, kind) for kind in KINDS]
    ours = ["--config", str(ROOT / "pyproject.toml")]
    calls = [(tmp_path, ["check"]), (tmp_path, ["format", "--check"])]
    calls.append((tmp_path, ["format", "--check", *ours]))
    # Which files are tests, our settings say by paths below the folder.
    calls += [(folder, ["check", *ours]) for folder in folders]
    for folder, command in calls:
        done = run(folder, "ruff", *command, "--no-cache", ".")
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_its_code_is_typed(tmp_path):
    pytest.importorskip("mypy")
    packages = []
    for kind in KINDS:
        name = f"typed-{kind}"
        packages.append(str(made(tmp_path, name, kind) / f"dicomweb_{name.replace('-', '_')}"))
    # With the cache of `make lint`: what they import was looked at there.
    done = run(ROOT, "mypy", "--config-file", "pyproject.toml", *packages)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"no issues found in {len(KINDS)} source files" in done.stdout


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_documented_and_uses_the_public_api_only(tmp_path, kind):
    folder = made(tmp_path, "ward-notes", kind)
    source = folder / "dicomweb_ward_notes" / "__init__.py"
    parsed = ast.parse(source.read_text(encoding="utf-8"))
    assert "ward-notes" in ast.get_docstring(parsed)
    for node in parsed.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            assert ast.get_docstring(node), node.name
    assert parts_imported(imported_by(source, folder)) - {"__init__"} <= PUBLIC
    assert "{{" not in "".join(p.read_text() for p in folder.rglob("*") if p.is_file())
    assert KINDS[kind].what in (folder / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("kind", KINDS)
def test_the_configuration_of_its_readme_starts_a_server_with_it(tmp_path, kind):
    folder = made(tmp_path, "ward-notes", kind)
    readme = (folder / "README.md").read_text(encoding="utf-8")
    (tmp_path / "config.json").write_text(readme.split("```json\n")[1].split("```")[0])
    config = read_file(tmp_path / "config.json", {"TOKEN": "secret"})
    plugins = {"Plugins": [str(folder / "dicomweb_ward_notes")]}
    with temporary_app(tmp_path, config | plugins | storages_below(tmp_path, config)) as app:
        info = context_of(app).extensions.infos[-1]
    assert info.name == "dicomweb_ward_notes"
    assert set(info.hooks) >= ({KINDS[kind].hook} - {""} or {"register_blueprints"})


def storages_below(folder, config):
    """The storages of a configuration, with their folders inside of another one."""
    text = json.dumps({key: config[key] for key in ("Storages",) if key in config})
    return json.loads(text.replace('"instances"', json.dumps(str(folder / "instances"))))


def test_a_server_finds_it_when_it_is_installed(tmp_path):
    folder = made(tmp_path, "ward-notes", "route")
    project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["name"] == "dicomweb-ward-notes"
    assert project["entry-points"]["dicomweb_server"] == {"ward-notes": "dicomweb_ward_notes"}
    assert project["dependencies"] == [distribution("dicomweb-server").name]
    # Its tests pass then too, though the server has loaded it already.
    metadata = folder / "dicomweb_ward_notes-0.1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Name: dicomweb-ward-notes\nVersion: 0.1.0\n")
    (metadata / "entry_points.txt").write_text(
        "[dicomweb_server]\nward-notes = dicomweb_ward_notes\n"
    )
    done = run(folder, "dicomweb_server", "extensions")
    assert "ward-notes" in done.stdout, done.stderr
    done = run(folder, "pytest", "-q", *WITHOUT_CACHE)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_route_is_what_comes_without_a_kind(tmp_path):
    done = new(tmp_path / "deep", "ward-notes")
    assert done.exit_code == 0
    assert "a route" in done.output
    folder = tmp_path / "deep" / "dicomweb-ward-notes"
    assert sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()) == [
        "README.md",
        "dicomweb_ward_notes/__init__.py",
        "dicomweb_ward_notes/py.typed",
        "pyproject.toml",
        "tests/test_ward_notes.py",
    ]


# --- what is refused -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["", "Ward", "ward notes", "ward_notes", "7th", "-x", "x-", "x--y", "../x", "ä", "a" * 33],
)
def test_a_bad_name_is_refused_with_what_is_possible(tmp_path, name):
    done = CliRunner().invoke(
        cli, ["extension", "new", "--directory", str(tmp_path), "--kind", "route", "--", name]
    )
    assert done.exit_code == 1
    assert repr(name) in done.output
    assert "such as ward-notes" in done.output
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_there_is_left_alone(tmp_path):
    folder = made(tmp_path, "ward-notes", "route")
    (folder / "README.md").write_text("mine")
    done = new(tmp_path, "ward-notes", "--kind", "storage")
    assert done.exit_code == 1
    assert str(folder) in done.output
    assert "--directory" in done.output
    assert (folder / "README.md").read_text() == "mine"


@pytest.mark.parametrize(
    ("name", "kind", "words"),
    [
        ("audit", "route", ("extension named audit", "dicomweb-server")),
        ("proxy-headers", "storage", ("extension named proxy-headers",)),
        ("memory", "storage", ("storage-memory", "storage 'memory'")),
        ("basic", "authenticator", ("auth-basic", "authenticator 'basic'")),
        ("server", "route", ("package dicomweb_server",)),
        ("auth-basic", "route", ("extension named auth-basic",)),
        ("index-sql", "route", ("index-sql",)),
    ],
)
def test_a_name_that_somebody_has_is_refused(tmp_path, name, kind, words):
    done = new(tmp_path, name, "--kind", kind)
    assert done.exit_code == 1
    assert all(word in done.output for word in (*words, "choose another name"))
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_an_extension_of_the_configuration_has_is_refused(tmp_path):
    (tmp_path / "bell.py").write_text("")
    (tmp_path / "config.json").write_text('{"Plugins": ["bell.py"]}')
    done = CliRunner().invoke(
        cli,
        ["--config", str(tmp_path / "config.json"), "extension", "new", "bell"],
    )
    assert done.exit_code == 1
    assert "extension named bell" in done.output


def test_a_name_of_one_kind_may_be_that_of_another(tmp_path):
    assert new(tmp_path, "basic", "--kind", "storage").exit_code == 0


def test_an_unknown_kind_is_refused_with_those_there_are(tmp_path):
    done = new(tmp_path, "ward-notes", "--kind", "index")
    assert done.exit_code == 2
    assert all(kind in done.output for kind in KINDS)
