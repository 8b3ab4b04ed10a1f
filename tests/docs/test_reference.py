"""Every hook and every option is explained; what is not explained is found."""

from types import ModuleType

import pytest

from dicomweb_server import hookspecs
from dicomweb_server.config import Option, text
from dicomweb_server.documents import Documented, json_default
from dicomweb_server.hook_descriptions import described_hooks
from dicomweb_server.options import CORE_OPTIONS
from tests.docs.helpers import ROOT
from tests.docs.reference import undocumented_hooks, undocumented_options

HOOKS = (ROOT / "docs/extensions.md").read_text(encoding="utf-8")
MANUAL = (ROOT / "docs/configuration.md").read_text(encoding="utf-8")
EXAMPLE = (ROOT / "config.example.json").read_text(encoding="utf-8")
MARK = f"{hookspecs.PROJECT}_spec"


def every_option():
    """Of the core, of the shipped extensions, and of the sections of their providers."""
    documented = Documented()
    yield from CORE_OPTIONS
    yield from (option for _, option in documented.collect("register_options"))
    for hook in described_hooks():
        if hook.types["return"].startswith("list[type["):
            for _, cls in documented.collect(hook.name):
                yield from cls.options


OPTIONS = list(every_option())


# --- hooks ---------------------------------------------------------------------------------


def test_every_hook_is_explained():
    names = [name for name, value in vars(hookspecs).items() if hasattr(value, MARK)]
    assert [hook.name for hook in described_hooks()] == names
    assert len(names) > 10
    assert undocumented_hooks(hookspecs, HOOKS) == []


def specifying(docstring):
    """A module with one made-up hook."""

    def bell_rung(volume: int) -> None: ...

    bell_rung.__doc__ = docstring
    module = ModuleType("made_up")
    module.bell_rung = hookspecs.hookspec(bell_rung)
    return module


COMPLETE = """The bell was rung.

Args:
    volume: how loud, in decibels.

Returns:
    nothing.

Called:
    for each ring.
"""


def test_a_hook_that_the_manual_does_not_know_is_found():
    found = undocumented_hooks(specifying(COMPLETE), HOOKS)
    assert "bell_rung: The bell was rung." in found
    assert "bell_rung: no Called" in found


@pytest.mark.parametrize("fact", ["how loud", "Returns nothing.", "for each ring.", "was rung"])
def test_a_hook_of_which_the_manual_leaves_something_out_is_found(fact):
    section = (
        "### `bell_rung(volume)`\n\nThe bell was rung.\n\n"
        "- Receives `volume` (`int`), how loud, in decibels.\n- Returns nothing.\n"
        "- Called for each ring.\n\n# Next\n"
    )
    module = specifying(COMPLETE)
    assert undocumented_hooks(module, section) == []
    if fact == "how loud":
        section = section.replace("`volume` ", "")
    assert undocumented_hooks(module, section.replace(fact, "")) != []


@pytest.mark.parametrize(
    ("left_out", "word"),
    [
        ("The bell was rung.", "a sentence"),
        ("    volume: how loud, in decibels.\n", "Args: with volume"),
        ("how loud, in decibels.", "Args: with volume"),
        ("    nothing.\n", "Returns:"),
        ("Called:\n", "Called:"),
    ],
)
def test_a_hook_whose_docstring_leaves_something_out_stops_the_generator(left_out, word):
    module = specifying(COMPLETE.replace(left_out, ""))
    with pytest.raises(ValueError, match="bell_rung lacks") as caught:
        described_hooks(module)
    assert word in str(caught.value)


# --- options -------------------------------------------------------------------------------


def test_every_option_is_explained():
    assert len(OPTIONS) > 100
    assert undocumented_options(OPTIONS, MANUAL, EXAMPLE) == []


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_the_default_that_is_shown_may_be_written(option):
    assert option.check(json_default(option)) == option.default


def test_an_option_that_is_not_explained_is_found():
    made_up = Option("BellVolume", "loud", "How loud the bell is.", text)
    assert undocumented_options([made_up], MANUAL, EXAMPLE) == ["BellVolume"]
    manual = '| `BellVolume` | `"loud"` | How loud the bell is. |'
    example = '  // How loud the bell is.\n  "BellVolume": "loud"'
    assert undocumented_options([made_up], manual, example) == []
    assert undocumented_options([made_up], manual, EXAMPLE) == ["BellVolume"]
    assert undocumented_options([made_up], MANUAL, example) == ["BellVolume"]


@pytest.mark.parametrize("help_text", ["", "Loudness", "How loud the bell is"])
def test_an_option_that_says_nothing_is_found(help_text):
    made_up = Option("BellVolume", "loud", help_text, text)
    manual = f'| `BellVolume` | `"loud"` | {help_text} |'
    example = f'  // {help_text}\n  "BellVolume": "loud"'
    assert undocumented_options([made_up], manual, example) == ["BellVolume"]
