"""What is generated is current, and the example configuration is the defaults."""

import re
import shutil

import pytest
from click.testing import CliRunner

from dicomweb_server.cli.main import cli
from dicomweb_server.config import check, read_file
from dicomweb_server.documents import DOCUMENTS, EXAMPLE, Documented, generated_files
from tests.docs.helpers import ROOT

WRITTEN_OUT = {"Storages", "Index", "Authentication", "Authorization"}
"""Sections whose default is empty: the example shows what empty means."""


@pytest.mark.parametrize("name", [EXAMPLE, *DOCUMENTS])
def test_it_is_current(name):
    assert (ROOT / name).read_text(encoding="utf-8") == generated_files(ROOT)[name], (
        "run `dicomweb-server docs`"
    )


def test_a_server_can_start_with_the_example(tmp_path):
    shutil.copy(ROOT / EXAMPLE, tmp_path)
    done = CliRunner().invoke(cli, ["config", "check", "--config", str(tmp_path / EXAMPLE)])
    assert done.exit_code == 0, done.output
    assert "A server can start" in done.output
    assert "has no effect" not in done.output
    assert [path.name for path in tmp_path.iterdir()] == [EXAMPLE]


def test_the_example_holds_every_option_with_its_default():
    options = [option for _, group in Documented().groups() for option in group]
    config = check(read_file(ROOT / EXAMPLE, {}), options, base=ROOT)
    text = (ROOT / EXAMPLE).read_text(encoding="utf-8")
    for option in options:
        if option.unused:
            assert f"//   {option.name} (" in text
        else:
            assert option.name in config.given
            assert f"// {option.help}" in text
            if option.name not in WRITTEN_OUT:
                assert config[option] == option.default, option.name


def test_a_stale_file_is_named_and_mended(tmp_path):
    for name in (EXAMPLE, *DOCUMENTS):
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        shutil.copy(ROOT / name, tmp_path / name)
    manual = tmp_path / DOCUMENTS[0]
    manual.write_text(manual.read_text().replace("`HttpPort`", "`HttpPrt`"))
    call = ["docs", "--root", str(tmp_path)]
    stale = CliRunner().invoke(cli, [*call, "--check"])
    assert stale.exit_code == 1
    assert DOCUMENTS[0] in stale.output
    assert EXAMPLE not in stale.output
    assert "`HttpPrt`" in manual.read_text()
    assert CliRunner().invoke(cli, call).exit_code == 0
    assert CliRunner().invoke(cli, [*call, "--check"]).exit_code == 0
    assert manual.read_text() == (ROOT / DOCUMENTS[0]).read_text()


def test_the_generator_is_not_shown_to_operators():
    assert "docs" not in re.findall(r"^  (\w+)", CliRunner().invoke(cli, ["--help"]).output, re.M)


LINKED = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "extensions/README.md")]
LINKED += sorted((ROOT / "examples").glob("*/README.md"))
LINKED += sorted((ROOT / "docs").glob("*.md"))


@pytest.mark.parametrize("path", LINKED, ids=lambda path: path.name)
def test_links_lead_somewhere(path):
    text = path.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#\s]+)", text):
        if "://" not in target:
            assert (path.parent / target).exists(), target
