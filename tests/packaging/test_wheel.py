"""The wheel works in an empty environment elsewhere, with everything that belongs to it."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from dicomweb_server.cli.skeletons import KINDS

ROOT = Path(__file__).parents[2]
SOURCES = ("setup.py", "pyproject.toml", "README.md", "LICENSE", "dicomweb_server", "extensions")
IGNORED = shutil.ignore_patterns("__pycache__", "*.egg-info", "build")


def run(*command, folder, **options):
    environ = {k: v for k, v in os.environ.items() if not k.startswith(("DICOMWEB_", "PYTHON"))}
    return subprocess.run(
        list(map(str, command)),
        cwd=folder,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
        **options,
    )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel of a copy of the tree: building leaves nothing behind in the tree itself."""
    folder = tmp_path_factory.mktemp("tree")
    for name in SOURCES:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=IGNORED)
        else:
            shutil.copy(source, folder / name)
    command = (sys.executable, "-m", "pip", "wheel", "--no-deps")
    done = run(*command, "-q", "-w", folder / "dist", folder, folder=folder)
    assert done.returncode == 0, done.stderr
    (built,) = (folder / "dist").glob("*.whl")
    return built


def test_everything_is_in_the_wheel(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    for base in (ROOT / "dicomweb_server", *(ROOT / "extensions").iterdir()):
        for path in base.rglob("*.py") if base.is_dir() else ():
            parent = ROOT if base.name == "dicomweb_server" else ROOT / "extensions"
            if "__pycache__" not in path.parts:
                assert path.relative_to(parent).as_posix() in names
    assert "dicomweb_server/py.typed" in names
    assert any(name.startswith("dicomweb_index_sql/migrations/versions/") for name in names)
    templates = [path.name for path in (ROOT / "dicomweb_server/cli/templates").iterdir()]
    assert len(templates) > len(KINDS)
    assert {f"dicomweb_server/cli/templates/{name}" for name in templates} <= names
    assert not any(name.startswith(("tests/", "benchmarks/", "extensions/")) for name in names)


@pytest.fixture(scope="module")
def environment(wheel, tmp_path_factory):
    """An empty environment with the wheel and what it requires."""
    folder = tmp_path_factory.mktemp("elsewhere")
    done = run(sys.executable, "-m", "venv", folder / "env", folder=folder)
    assert done.returncode == 0, done.stderr
    python = folder / "env" / "bin" / "python"
    done = run(python, "-m", "pip", "install", "-q", wheel, folder=folder)
    if done.returncode and os.environ.get("CI") != "true":
        pytest.skip(f"what the wheel requires cannot be installed here: {done.stderr[-300:]}")
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.slow
def test_the_demonstration_works_elsewhere(environment):
    done = run(environment / "env/bin/dicomweb-server", "demo", "--once", folder=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "byte-identical: True" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_an_extension_of_each_kind_is_made_elsewhere(environment, kind):
    program = environment / "env/bin/dicomweb-server"
    command = ("extension", "new", f"my-{kind}", "--kind", kind)
    done = run(program, *command, folder=environment)
    assert done.returncode == 0, done.stderr
    assert (environment / f"dicomweb-my-{kind}" / "pyproject.toml").is_file()


@pytest.mark.slow
def test_the_environment_has_no_tools_for_tests_and_all_extensions(environment):
    program = environment / "env/bin/dicomweb-server"
    done = run(program, "extensions", folder=environment)
    assert done.returncode == 0, done.stderr
    for name in ("storage-filesystem", "index-sql", "metadata-full", "auth-basic"):
        assert name in done.stdout
    python = environment / "env" / "bin" / "python"
    assert run(python, "-c", "import pytest", folder=environment).returncode != 0
    assert run(program, "migrate", folder=environment).returncode == 0
    assert run(program, "check", folder=environment).returncode == 0
