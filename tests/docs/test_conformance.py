"""The table of clauses: every row has a state, and every test that it names is there."""

import ast
import re
from functools import lru_cache

import pytest

from tests.docs.helpers import ROOT

PAGE = ROOT / "docs" / "conformance.md"
TEXT = PAGE.read_text(encoding="utf-8")
STATES = {"done", "partly", "no", "nothing"}
NAMED = re.compile(r"`([\w/]+\.py)::([\w:]+)`")
CHAPTERS = ("8.1", "8.2", "8.3", "8.4", "8.5", "8.6", "8.7", "8.8", "8.9", "8.10", "8.11")
CHAPTERS += ("9.1", "9.2", "9.3", "9.4", "9.5", "10.1", "10.2", "10.3", "10.4", "10.5", "10.6")


def rows():
    """(clause, what it asks for, state, tests and reasons) of each row about a clause."""
    for line in TEXT.splitlines():
        if re.match(r"\| (8|9|10)\.", line):
            yield tuple(cell.strip() for cell in line.strip("|").split(" | "))


ROWS = list(rows())


@lru_cache
def names_in(path):
    """The tests of a file: functions, and methods as `Class::method`."""
    found = set()
    for node in ast.parse((ROOT / "tests" / path).read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef):
            found.add(node.name)
        if isinstance(node, ast.ClassDef):
            found |= {f"{node.name}::{each.name}" for each in node.body if hasattr(each, "name")}
    return {name for name in found if name.rpartition("::")[2].startswith("test_")}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_a_row_is_complete(row):
    assert len(row) == 4 or (len(row) == 3 and row[2].rstrip(" |") in STATES), row
    clause, demand, state, *reasons = (cell.rstrip(" |") for cell in row)
    assert re.fullmatch(r"\d+(\.\d+)+( \([^)]+\))?", clause)
    assert len(demand) > 3
    assert state in STATES
    text = "".join(reasons)
    if state in ("done", "partly") and clause != "8.5":
        assert NAMED.search(text), f"{clause} names no test"
    if state == "partly":
        assert ";" in NAMED.sub("", text), f"{clause} does not say what is different"
    if state == "no":
        assert len(text) > 10, f"{clause} does not say why"


@pytest.mark.parametrize(("path", "name"), sorted(set(NAMED.findall(TEXT))))
def test_a_test_that_is_named_is_there(path, name):
    assert (ROOT / "tests" / path).is_file(), path
    assert name in names_in(path)


def test_nothing_else_looks_like_the_name_of_a_test():
    assert len(re.findall(r"\.py::", TEXT)) == len(NAMED.findall(TEXT))


def test_clauses_are_there_once_and_in_order():
    clauses = [row[0] for row in ROWS]
    assert len(set(clauses)) == len(clauses)
    numbers = [tuple(map(int, clause.partition(" ")[0].split("."))) for clause in clauses]
    assert numbers == sorted(numbers)
    for chapter in CHAPTERS:
        of_chapter = [c for c in clauses if re.match(rf"{re.escape(chapter)}(\.| |$)", c)]
        assert of_chapter, chapter


def test_it_is_linked():
    for name in ("README.md", "docs/conformance-statement.md", "docs/http-api.md"):
        assert "conformance.md)" in (ROOT / name).read_text(encoding="utf-8"), name
