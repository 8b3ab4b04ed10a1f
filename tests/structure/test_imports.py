"""Imports go one way; the syntax trees tell, so that nothing need be run."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CORE = ROOT / "dicomweb_server"
EXTENSIONS = ROOT / "extensions"
EXAMPLES = ROOT / "examples"

# package or module of the core -> what of the core it may import beside itself
STANDARD = {"dicom", "ps318"}
BASE = STANDARD | {"config", "imaging"}
INTERFACES = BASE | {"interfaces", "settings", "reference_options", "hookspecs"}
SERVICES = INTERFACES | {"services", "isolation"}
ASSEMBLY = SERVICES | {"plugins", "providers", "context", "options"}
HTTP = ASSEMBLY | {"http"}
WEB = HTTP | {"web", "tls", "tracing"}
ALL = WEB | {"cli", "launch", "worker", "testing", "documents", "hook_descriptions"}
ALLOWED = {
    "dicom": set(),
    "imaging": {"dicom"},
    "ps318": set(),
    "config": {"config_files", "masking"},
    "config_files": set(),
    "masking": set(),
    "interfaces": BASE,
    "settings": BASE,
    "reference_options": BASE,
    "hookspecs": INTERFACES,
    "tls": {"config"},
    "isolation": INTERFACES | {"plugin_files"},
    "services": SERVICES,
    "tracing": INTERFACES,
    "loaded": {"config", "tracing"},
    "plugins": INTERFACES | {"plugin_files", "tracing", "loaded"},
    "plugin_files": {"config"},
    "options": ASSEMBLY | {"tls"},
    "context": ASSEMBLY,
    "providers": ASSEMBLY,
    "http": HTTP,
    "web": WEB,
    "worker": {"http", "web"},
    "hook_descriptions": {"hookspecs"},
    "documents": WEB | {"hook_descriptions"},
    "launch": WEB | {"worker"},
    "cli": ALL - {"testing"},
    "testing": WEB,
    "__init__": {"hookspecs"},
    "__main__": ALL - {"testing"},
}
# what extensions may use of the core; `dicomweb_server` itself too
PUBLIC = STANDARD | {
    "imaging",
    "config",
    "interfaces",
    "settings",
    "reference_options",
    "http",
    "context",
}
IMPORT_FLASK = {"http", "web", "testing", "launch", "cli"}


def sources(folder):
    return sorted(path for path in folder.rglob("*.py") if "__pycache__" not in path.parts)


def tree(path):
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def is_type_checking(node):
    return isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")


def imports(node, package):
    """Full names that a module imports, also late ones, but for those under TYPE_CHECKING."""
    for child in ast.iter_child_nodes(node):
        if is_type_checking(child):
            for other in child.orelse:
                yield from imports(other, package)
        elif isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            base = child.module or ""
            if child.level:
                parents = package[: len(package) - child.level + 1]
                base = ".".join([*parents, *([base] if base else [])])
            # `from package import module` names a module too
            yield from (f"{base}.{alias.name}" for alias in child.names)
        else:
            yield from imports(child, package)


def imported_by(path, root):
    package = path.relative_to(root).with_suffix("").parts[:-1]
    return set(imports(tree(path), package))


def part_of(path):
    """The part of the core that a file belongs to."""
    return path.relative_to(CORE).with_suffix("").parts[0]


PARTS = {path.stem if path.is_file() else path.name for path in CORE.iterdir()}


def parts_imported(names):
    found = set()
    for name in names:
        first, *rest = name.split(".")
        if first == "dicomweb_server":
            found.add(rest[0] if rest and rest[0] in PARTS else "__init__")
    return found


@pytest.mark.parametrize("path", sources(CORE), ids=lambda p: str(p.relative_to(CORE)))
def test_the_core_imports_downwards(path):
    part = part_of(path)
    assert part in ALLOWED, f"say in this test what {part} may import"
    used = parts_imported(imported_by(path, ROOT)) - {part, "__init__"}
    assert used <= ALLOWED[part]


@pytest.mark.parametrize("path", sources(CORE), ids=lambda p: str(p.relative_to(CORE)))
def test_the_core_never_imports_an_extension(path):
    names = {folder.name for folder in EXTENSIONS.iterdir()}
    assert not {name.split(".")[0] for name in imported_by(path, ROOT)} & names


@pytest.mark.parametrize("path", sources(EXTENSIONS), ids=lambda p: str(p.relative_to(EXTENSIONS)))
def test_an_extension_imports_only_what_is_public(path):
    own = path.relative_to(EXTENSIONS).parts[0]
    names = imported_by(path, EXTENSIONS)
    others = {folder.name for folder in EXTENSIONS.iterdir()} - {own}
    assert not {name.split(".")[0] for name in names} & others
    assert parts_imported(names) - {"__init__"} <= PUBLIC


def example_modules():
    """The modules of the examples, each with the folder that its package lies in."""
    return [(path, folder) for folder in EXAMPLES.iterdir() for path in sources(folder)]


@pytest.mark.parametrize(("path", "folder"), example_modules(), ids=lambda p: p.name)
def test_an_example_imports_only_what_is_public(path, folder):
    names = imported_by(path, folder)
    others = {each.name for each in EXTENSIONS.iterdir()}
    assert not {name.split(".")[0] for name in names} & others
    public = PUBLIC | {"testing"} if "tests" in path.relative_to(folder).parts else PUBLIC
    assert parts_imported(names) - {"__init__"} <= public


def importers_of(library):
    found = set()
    for path in sources(CORE):
        if library in {name.split(".")[0] for name in imported_by(path, ROOT)}:
            found.add(part_of(path))
    for path in sources(EXTENSIONS):
        if library in {name.split(".")[0] for name in imported_by(path, EXTENSIONS)}:
            found.add(path.relative_to(EXTENSIONS).parts[0])
    return found


def test_the_web_alone_imports_flask():
    core = {name for name in importers_of("flask") | importers_of("werkzeug") if name in PARTS}
    assert core <= IMPORT_FLASK
    assert {"http", "web"} <= core


def test_one_extension_imports_sqlalchemy():
    assert importers_of("sqlalchemy") == importers_of("alembic") == {"dicomweb_index_sql"}


def test_the_pytest_plugin_imports_nothing_heavy():
    path = CORE / "testing" / "pytest_plugin.py"
    top = [node for node in tree(path).body if isinstance(node, ast.Import | ast.ImportFrom)]
    names = {
        node.module if isinstance(node, ast.ImportFrom) else node.names[0].name for node in top
    }
    assert names <= {"__future__", "collections.abc", "pathlib", "typing", "pytest"}


def everything():
    found = [
        path for each in (CORE, EXTENSIONS, EXAMPLES, ROOT / "tests") for path in sources(each)
    ]
    return [*found, ROOT / "setup.py", ROOT / "wsgi.py", ROOT / "gunicorn.conf.py"]


@pytest.mark.parametrize("path", everything(), ids=lambda p: str(p.relative_to(ROOT)))
def test_every_module_says_what_it_is(path):
    parsed = tree(path)
    assert not parsed.body or ast.get_docstring(parsed), "a module without a docstring"


ELSEWHERE = re.compile(r"/(?:work|home|root|Users)/\w|\.\./shared")


def texts():
    folders = ("dicomweb_server", "extensions", "tests", "docs", "benchmarks", "examples", ".ci")
    files = [p for name in folders for p in (ROOT / name).rglob("*") if p.is_file()]
    files += [p for p in ROOT.iterdir() if p.is_file()]
    suffixes = {
        ".py",
        ".md",
        ".json",
        ".toml",
        ".html",
        ".css",
        ".js",
        ".mako",
        ".rst",
        ".tmpl",
        "",
    }
    return [p for p in files if p.suffix in suffixes and "__pycache__" not in p.parts]


def test_no_file_names_a_path_outside_of_the_repository():
    found = []
    for path in texts():
        if path == Path(__file__):
            continue
        match = ELSEWHERE.search(path.read_text(encoding="utf-8", errors="replace"))
        if match:
            found.append(f"{path.relative_to(ROOT)}: {match.group()}")
    assert found == []
