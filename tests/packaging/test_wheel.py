"""The wheel works in an empty environment elsewhere, with everything that belongs to it."""

import os
import sys
import zipfile

import pytest

from dicomweb_server.cli.skeletons import KINDS
from tests.packaging.building import ROOT, run


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
    assert not any(
        name.startswith(("tests/", "benchmarks/", "extensions/", "examples/")) for name in names
    )


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
