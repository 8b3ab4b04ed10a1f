"""What a new extension begins with: the kinds there are, and the files of each, from templates."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

_PLACEHOLDER = re.compile(r"\{\{(\w+)\}\}")
_FIXTURES = "They run in a server of their own, with this extension, and need no other."


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of extension.

    Attributes:
        what: a sentence about the new extension.
        tests: a sentence about its tests.
        config: what to put into the configuration to use it; `{{name}}` and `{{class}}` are filled
            in.
        hook: the hook that registers its class, whose name nobody else may offer; "" for none.
        noun: what sentences call such a class.
    """

    what: str
    tests: str = _FIXTURES
    config: Mapping[str, Any] = field(default_factory=dict)
    hook: str = ""
    noun: str = ""


def _contract(name: str) -> str:
    return f"`{name}` of dicomweb-server does most of it."


KINDS: Mapping[str, Kind] = {
    "route": Kind("a route that tells how much the archive holds."),
    "storage": Kind(
        "a storage of one file for each instance in one folder.",
        _contract("BlobStoreContract"),
        {"Storages": {"default": {"Type": "{{name}}", "Folder": "instances"}}},
        *("register_storages", "storage"),
    ),
    "authenticator": Kind(
        "a login by tokens in a header of their own.",
        _contract("AuthenticatorContract"),
        {
            "AuthenticationEnabled": True,
            "Authentication": {
                "Order": ["{{name}}"],
                "{{name}}": {"Tokens": {"viewer": "${TOKEN}"}},
            },
        },
        *("register_authenticators", "authenticator"),
    ),
    "authorizer": Kind(
        "members of one group may do everything, others may look.",
        _contract("AuthorizerContract"),
        {"Authorization": {"Type": "{{name}}", "Group": "editors"}},
        *("register_authorizers", "authorizer"),
    ),
    "ingest-filter": Kind(
        "a filter that refuses instances of some modalities.",
        _contract("IngestFilterContract"),
        {"IngestFilters": ["{{name}}"], "{{class}}Filter": {"Modalities": ["OT"]}},
        *("register_ingest_filters", "ingest filter"),
    ),
    "metadata-mode": Kind(
        "metadata without bulk data, sequences and private attributes.",
        _contract("MetadataModeContract"),
        {"DicomWeb": {"StudiesMetadata": "{{name}}"}},
        *("register_metadata_modes", "metadata mode"),
    ),
}


def package_of(name: str) -> str:
    """The Python package of an extension: `dicomweb_ward_notes` of `ward-notes`."""
    return f"dicomweb_{_identifier(name)}"


def _identifier(name: str) -> str:
    return name.replace("-", "_")


def skeleton(name: str, kind: str) -> dict[str, str]:
    """Path -> text of each file of a new extension of one of the `KINDS`."""
    chosen = KINDS[kind]
    words = {
        "name": name,
        "identifier": _identifier(name),
        "package": package_of(name),
        "class": "".join(part.capitalize() for part in name.split("-")),
        "what": chosen.what,
        "tests": chosen.tests,
    }
    words["config"] = _filled(json.dumps(chosen.config, indent=2), words)
    package = words["package"]
    templates = {
        "pyproject.toml": "pyproject",
        "README.md": "README",
        f"{package}/__init__.py": f"{kind}.module",
        f"tests/test_{words['identifier']}.py": f"{kind}.tests",
    }
    made = {path: _filled(_template(each), words) for path, each in templates.items()}
    return made | {f"{package}/py.typed": ""}


def _template(name: str) -> str:
    folder = files("dicomweb_server.cli") / "templates"
    return (folder / f"{name}.tmpl").read_text(encoding="utf-8")


def _filled(template: str, words: Mapping[str, str]) -> str:
    return _PLACEHOLDER.sub(lambda match: words[match.group(1)], template)
