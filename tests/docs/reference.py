"""Finds hooks and options that the documents do not explain."""

import json
import re

from dicomweb_server.documents import json_default
from dicomweb_server.hook_descriptions import described_hooks


def is_sentence(text):
    """Whether a help text says something: a few words, and a full stop."""
    return len(text.split()) > 1 and text.rstrip(")").endswith(".")


def undocumented_hooks(module, manual):
    """What the manual lacks of the hooks of a module, in sentences."""
    sections = dict(re.findall(r"^### `(\w+)\(.*?\)`\n(.*?)(?=^#|^<!--)", manual, re.M | re.S))
    missing = []
    for hook in described_hooks(module):
        section = sections.get(hook.name, "")
        facts = [hook.purpose, hook.returns, hook.called, *hook.receives]
        missing += [f"{hook.name}: {fact}" for fact in facts if fact not in section]
        missing += [
            f"{hook.name}: no {word}"
            for word in ("Receives", "Returns", "Called")
            if not re.search(rf"^- {word} \S", section, re.M)
        ]
    return missing


def undocumented_options(options, manual, example):
    """Names of options that one of the two does not explain, or that say nothing themselves."""
    return [option.name for option in options if not _is_explained(option, manual, example)]


def _is_explained(option, manual, example):
    if option.unused:
        row = _cells(f"`{option.name}`", option.unused)
        return row in manual and f"//   {option.name} (" in example
    row = _cells(f"`{option.name}`", f"`{json.dumps(json_default(option))}`", option.help)
    written = rf"// {re.escape(option.help)}\n[ /]*{re.escape(json.dumps(option.key))}: "
    return is_sentence(option.help) and row in manual and re.search(written, example) is not None


def _cells(*cells):
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells)
