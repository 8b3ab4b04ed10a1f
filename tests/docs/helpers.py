"""Takes the examples out of the documents."""

import importlib.util
import re
import textwrap
from pathlib import Path

ROOT = Path(__file__).parents[2]


def example(document, name):
    """The code block after `<!-- example: NAME -->`."""
    text = (ROOT / document).read_text(encoding="utf-8")
    pattern = rf"<!-- example: {re.escape(name)} -->\n```\w*\n(.*?)\n```"
    (block,) = re.findall(pattern, text, re.DOTALL)
    return block


def examples(document):
    """The names of all examples of a document, in their order."""
    text = (ROOT / document).read_text(encoding="utf-8")
    return re.findall(r"<!-- example: (\S+) -->", text)


def indented_block(document, containing):
    """The indented code block that holds a text."""
    text = (ROOT / document).read_text(encoding="utf-8")
    blocks = re.findall(r"(?:^ {4}.*\n|^\n(?= {4}))+", text, re.MULTILINE)
    (block,) = (block for block in blocks if containing in block)
    return textwrap.dedent(block)


def load(path):
    """The module of a file."""
    spec = importlib.util.spec_from_file_location(f"example_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def written(folder, document, name):
    """The path of a file with an example."""
    path = folder / name
    path.write_text(example(document, name) + "\n", encoding="utf-8")
    return path
