"""Structured reports as text and HTML (PS3.3 A.35, C.17.3): the tree of content items, indented."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

_VALUE_TYPE, _CONCEPT, _CONTENT, _RELATION = "0040A040", "0040A043", "0040A730", "0040A010"
_MEANING, _CODE = "00080104", "00080100"
_HEADER = {
    "00100010": "Patient",
    "00100020": "Patient ID",
    "00100030": "Birth date",
    "00080020": "Study date",
    "00081030": "Study",
    "0040A491": "Completion",
    "0040A493": "Verification",
}
_TEXTS = {
    "TEXT": "0040A160",
    "DATE": "0040A121",
    "TIME": "0040A122",
    "DATETIME": "0040A120",
    "UIDREF": "0040A124",
    "PNAME": "0040A123",
}
_DEEPEST = 64
_STYLE = (
    "body{font-family:sans-serif;max-width:60em;margin:2em auto;padding:0 1em;line-height:1.4}"
    "ul{list-style:none;padding-left:1.2em;border-left:1px solid #ccc}"
    "dt{font-weight:bold;float:left;clear:left;width:9em}dd{margin-left:10em}"
    ".c{font-weight:bold}.r{color:#666;font-size:85%}"
)

Attributes = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Line:
    depth: int
    concept: str
    value: str
    relation: str


def is_report(attributes: Attributes) -> bool:
    """Whether a data set has a tree of content items."""
    return _VALUE_TYPE in attributes and _CONTENT in attributes


def _first(attributes: Attributes, tag: str) -> Any:
    values = attributes.get(tag, {}).get("Value") or [None]
    return values[0]


def _shown(value: Any) -> str:
    if isinstance(value, Mapping):
        return str(value.get("Alphabetic") or next(iter(value.values()), "")).replace("^", " ")
    return "" if value is None else str(value)


def _meaning(attributes: Attributes, tag: str) -> str:
    code = _first(attributes, tag)
    if not isinstance(code, Mapping):
        return ""
    return _shown(_first(code, _MEANING)) or _shown(_first(code, _CODE))


def _value(item: Attributes) -> str:
    kind = _shown(_first(item, _VALUE_TYPE))
    if kind in _TEXTS:
        return _shown(_first(item, _TEXTS[kind]))
    if kind == "CODE":
        return _meaning(item, "0040A168")
    if kind == "NUM":
        measured = _first(item, "0040A300")
        if not isinstance(measured, Mapping):
            return _meaning(item, "0040A301") or "no value"
        return f"{_shown(_first(measured, '0040A30A'))} {_meaning(measured, '004008EA')}".strip()
    if kind in ("IMAGE", "COMPOSITE", "WAVEFORM"):
        reference = _first(item, "00081199")
        uid = _first(reference, "00081155") if isinstance(reference, Mapping) else None
        return f"{kind.lower()} {_shown(uid)}".strip()
    if kind in ("SCOORD", "SCOORD3D", "TCOORD"):
        return f"{_shown(_first(item, '00700023'))} coordinates".strip().lower()
    return ""


def _lines(item: Attributes, depth: int = 0) -> Iterator[_Line]:
    relation = _shown(_first(item, _RELATION)).lower()
    yield _Line(depth, _meaning(item, _CONCEPT), _value(item), relation)
    children: Sequence[Any] = item.get(_CONTENT, {}).get("Value", ())
    for child in children if depth < _DEEPEST else ():
        if isinstance(child, Mapping):
            yield from _lines(child, depth + 1)


def _head(attributes: Attributes) -> list[tuple[str, str]]:
    told = [(name, _shown(_first(attributes, tag))) for tag, name in _HEADER.items()]
    return [(name, value) for name, value in told if value]


def report_text(attributes: Attributes) -> str:
    """The report as plain text."""
    lines = [f"{name}: {value}" for name, value in _head(attributes)]
    lines.append("")
    for line in _lines(attributes):
        concept = f"{line.concept}: " if line.concept and line.value else line.concept
        lines.append(f"{'  ' * line.depth}{concept}{line.value}".rstrip())
    return "\n".join(lines) + "\n"


def report_html(attributes: Attributes) -> str:
    """The report as one HTML page without scripts; every text of the report is escaped."""
    title = _meaning(attributes, _CONCEPT) or "Structured report"
    parts = [
        f'<!DOCTYPE html><html><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{_STYLE}</style></head><body><h1>{escape(title)}</h1><dl>"
    ]
    parts += [
        f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in _head(attributes)
    ]
    parts.append("</dl>")
    depth = 0
    for line in _lines(attributes):
        if line.depth == 0:
            continue
        parts.append("<ul>" * max(line.depth - depth, 0) + "</ul>" * max(depth - line.depth, 0))
        depth = line.depth
        relation = f' <span class="r">{escape(line.relation)}</span>' if line.relation else ""
        parts.append(
            f'<li><span class="c">{escape(line.concept)}</span> {escape(line.value)}{relation}</li>'
        )
    parts.append("</ul>" * depth + "</body></html>")
    return "\n".join(parts)
