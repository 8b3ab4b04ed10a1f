"""One condition of the public search language as SQL (PS3.4 C.2.2.2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy import ColumnElement, Double, String, and_, exists, false, func, or_, select, true

from dicomweb_index_sql import patient_rows
from dicomweb_index_sql.columns import BY_TAG, GROUPS, Searchable, clip, compared
from dicomweb_index_sql.extras import LEVELS, Kept, Key
from dicomweb_index_sql.fuzzy import Rows, is_fuzzy
from dicomweb_index_sql.fuzzy import clause as fuzzy_clause
from dicomweb_index_sql.plans import Parameters, Plan, Shape, clause, name, plan
from dicomweb_index_sql.schema import extra_values, instances, patients, series, studies
from dicomweb_index_sql.values import double
from dicomweb_index_sql.visible import ALL, Visible
from dicomweb_server.ps318 import attributes as sets
from dicomweb_server.ps318.combining import TIME_OF
from dicomweb_server.ps318.matching import (
    AnyOf,
    Equals,
    EqualsNumber,
    IsEmpty,
    Moments,
    NameGroups,
    OneOf,
    Predicate,
    Range,
    Wildcard,
)
from dicomweb_server.ps318.query_model import Condition, QueryLevel

_S, _E, _I = QueryLevel.STUDY, QueryLevel.SERIES, QueryLevel.INSTANCE
_P = QueryLevel.PATIENT
TABLES: dict[QueryLevel, Any] = {_P: patients, _S: studies, _E: series, _I: instances}
DEPTH = {_P: 0, _S: 1, _E: 2, _I: 3}

# Attributes that are computed: the level whose rows have the number.
COUNTS = {
    **dict.fromkeys(sets.PATIENT_COUNTS, _P),
    sets.NUMBER_OF_STUDY_RELATED_SERIES: _S,
    sets.NUMBER_OF_STUDY_RELATED_INSTANCES: _S,
    sets.NUMBER_OF_SERIES_RELATED_INSTANCES: _E,
}


def answers(condition: Condition, level: QueryLevel) -> bool:
    """Whether the condition can be said in SQL."""
    if condition.is_universal or isinstance(condition.predicate, Kept):
        return True
    if len(condition.path) != 1 or condition.creators:
        return False
    tag = condition.tag
    if tag in COUNTS:
        return COUNTS[tag] is not _P or level is _P
    if (
        tag == sets.INSTANCE_AVAILABILITY
        or tag in _OF_CHILDREN
        or tag == sets.AVAILABLE_TRANSFER_SYNTAX_UID
    ):
        return True
    searchable = BY_TAG.get(tag)
    return searchable is not None and _can(searchable, condition.predicate)


def _can(searchable: Searchable, predicate: Predicate) -> bool:
    if isinstance(predicate, AnyOf):
        return all(_can(searchable, each) for each in predicate.alternatives)
    if is_fuzzy(predicate):
        return searchable.kind == "name" and searchable.level is _S
    if searchable.kind == "name":
        # A name with several groups is matched as a whole: only the header has it in that form.
        if isinstance(predicate, NameGroups | IsEmpty):
            return True
        texts = predicate.values if isinstance(predicate, OneOf) else (_text(predicate),)
        return not any("=" in each for each in texts)
    if isinstance(predicate, EqualsNumber):
        return searchable.kind == "number"
    if isinstance(predicate, NameGroups):
        return False
    if isinstance(predicate, Moments):
        time = BY_TAG.get(predicate.time_tag)
        return time is not None and time.level is searchable.level
    if isinstance(predicate, Range):
        return searchable.kind in ("date", "time") and not predicate.utc
    return True


def _text(predicate: Predicate) -> str:
    if isinstance(predicate, Equals):
        return predicate.value
    return predicate.pattern if isinstance(predicate, Wildcard) else ""


@dataclass(frozen=True, slots=True)
class Term:
    """A condition without its values: what decides about the text of a statement."""

    tag: str
    folded: bool
    shape: Shape
    key: Key | None = None
    """Where the values are of an attribute without columns."""

    @property
    def level(self) -> QueryLevel | None:
        """The level whose rows hold the attribute; None if none does."""
        return self.key.level if self.key else level_of(self.tag)


def term_of(condition: Condition) -> tuple[Term, tuple[Any, ...]]:
    """The term of a condition, and the values of its parameters."""
    if isinstance(condition.predicate, Rows):
        return Term(condition.tag, False, ("rows",)), (condition.predicate.keys,)
    if isinstance(condition.predicate, Kept):
        return _term_of_extra(condition.tag, condition.predicate)
    planned = plan(condition.predicate, partial(_as_in_column, BY_TAG.get(condition.tag)))
    values = tuple(compared(v) if isinstance(v, str) else v for v in planned.values)
    return Term(condition.tag, _folded(condition.predicate), planned.shape), values


def terms_of(conditions: Sequence[Condition]) -> tuple[tuple[Term, ...], dict[str, Any]]:
    """The terms of conditions, and the values of all parameters by their names."""
    terms: list[Term] = []
    values: dict[str, Any] = {}
    for condition in conditions:
        term, given = term_of(condition)
        terms.append(term)
        for value in given:
            values[name(len(values))] = value
    return tuple(terms), values


def _term_of_extra(tag: str, kept: Kept) -> tuple[Term, tuple[Any, ...]]:
    key, predicate = kept.key, kept.predicate

    def clean(text: str) -> str:
        return text.rstrip("^") if key.kind == "name" else text

    def number(wanted: EqualsNumber) -> Plan:
        value = double(key.kind, wanted.number)
        return Plan(("none",)) if value is None else Plan(("double",), (value,))

    planned = plan(predicate, clean, number)
    values = tuple(compared(v) if isinstance(v, str) else v for v in planned.values)
    return Term(tag, _folded(predicate), planned.shape, key), values


def _as_in_column(searchable: Searchable | None, text: str) -> str:
    if searchable is None:
        return text
    return clip(searchable, text.rstrip("^") if searchable.kind == "name" else text)


def _folded(predicate: Predicate) -> bool:
    if isinstance(predicate, AnyOf):
        return any(_folded(each) for each in predicate.alternatives)
    return bool(getattr(predicate, "folded", False))


def _on_attribute(searchable: Searchable, term: Term, take: Parameters) -> ColumnElement[bool]:
    columns = TABLES[searchable.level].c
    kind, *details = term.shape
    if kind == "moments":
        return _moments(searchable, details, take)
    if kind == "rows":
        return fuzzy_clause(take.next().key)
    if searchable.kind == "name":
        named = [columns[f"{searchable.column}_{group}"] for group in GROUPS]
        return _on_name(named, term.shape, take)
    if searchable.kind == "text" and term.folded:
        return clause(columns[f"{searchable.column}_folded"], term.shape, take)
    return clause(columns[searchable.column], term.shape, take)


def _on_name(named: Sequence[Any], shape: Shape, take: Parameters) -> ColumnElement[bool]:
    """The condition on the columns of a name's component groups."""
    kind, *details = shape
    if kind in ("groups", "empty"):
        shapes = details if kind == "groups" else [shape] * len(named)
        return and_(*(clause(*each, take) for each in zip(named, shapes, strict=False)))
    start, groups = take.count, []
    for column in named:
        take.count = start  # each group is compared with the same parameters
        groups.append(clause(column, shape, take))
    return or_(*groups)


def _on_extra(key: Key, term: Term, take: Parameters) -> ColumnElement[bool]:
    """Whether the row of the attribute's level has a value that fulfils the condition."""
    columns = extra_values.c
    row: Any = TABLES[key.level].c.id
    owners = select(columns.owner).where(
        columns.level == LEVELS[key.level], columns.name == key.name
    )
    if term.shape == ("empty",):
        return row.not_in(owners)  # type: ignore[no-any-return]
    if key.kind == "name":
        names = (columns.text, columns.ideographic, columns.phonetic)
        fits = _on_name(names, term.shape, take)
    elif key.kind in ("number", "single"):
        fits = clause(columns.number, term.shape, take)
    else:
        text = _text_column(key, term)
        stored = term.shape == ("stored",)
        fits = _as_stored(text, take) if stored else clause(text, term.shape, take)
    return row.in_(owners.where(fits))  # type: ignore[no-any-return]


def _text_column(key: Key, term: Term) -> Any:
    """What a text is compared with: of a long one the beginning, unless wild cards need more."""
    columns, folded = extra_values.c, term.folded and key.kind != "uid"
    begin = columns.folded if folded else columns.text
    if key.kind != "long" or not _has_like(term.shape):
        return begin
    return func.coalesce(columns.phonetic if folded else columns.ideographic, begin, type_=String)


def _has_like(shape: Shape) -> bool:
    kind, *details = shape
    return kind == "like" or (kind == "or" and any(map(_has_like, details)))


def _as_stored(text: Any, take: Parameters) -> ColumnElement[bool]:
    """Whether a value is equal as a text, or as a number where the data have it as one."""
    equal = text == take.next()
    return or_(equal, extra_values.c.number.in_([take.next(Double), take.next(Double)]))


def _moments(searchable: Searchable, ends: Sequence[bool], take: Parameters) -> ColumnElement[bool]:
    """A date and its time as one moment; the date alone is compared too, for its index."""
    columns = TABLES[searchable.level].c
    date = columns[searchable.column]
    time = columns[BY_TAG[TIME_OF[searchable.tag]].column]
    moment = date + func.coalesce(time, "000000.000000")
    conditions = []
    if ends[0]:
        conditions += [date >= take.next(), moment >= take.next()]
    if ends[1]:
        conditions += [date <= take.next(), moment <= take.next()]
    return and_(true(), *conditions)


def _modalities(term: Term, take: Parameters, visible: Visible) -> ColumnElement[bool]:
    other = series.alias("any_series")
    column = other.c.modality_folded if term.folded else other.c.modality
    inside = (other.c.study_row == studies.c.id, *visible.of_series(other))
    if term.shape == ("empty",):
        return ~exists().where(*inside, column.isnot(None), column != "")
    return exists().where(*inside, clause(column, term.shape, take))


def _sop_classes(term: Term, take: Parameters, visible: Visible) -> ColumnElement[bool]:
    other = instances.alias("any_instance")
    if term.shape == ("empty",):
        return false()  # no instance is stored without one
    inside = (other.c.study_row == studies.c.id, *visible.of_instances(other))
    return exists().where(*inside, clause(other.c.sop_class_uid, term.shape, take))


# Attributes of a study that are computed from all of its children.
_OF_CHILDREN = {
    sets.MODALITIES_IN_STUDY: _modalities,
    sets.SOP_CLASSES_IN_STUDY: _sop_classes,
}


def level_of(tag: str) -> QueryLevel | None:
    """The level whose rows hold an attribute; None if none does."""
    if tag in COUNTS:
        return COUNTS[tag]
    if tag in _OF_CHILDREN:
        return _S
    if tag == sets.AVAILABLE_TRANSFER_SYNTAX_UID:
        return _I
    return BY_TAG[tag].level if tag in BY_TAG else None


def count_of(tag: str, visible: Visible) -> Any:
    """The number that an attribute of `COUNTS` is."""
    if COUNTS[tag] is _P:
        return patient_rows.count(tag, visible)
    return visible.count(tag)


def clause_of(term: Term, take: Parameters, visible: Visible = ALL) -> ColumnElement[bool]:
    """The condition on the columns of the attribute's level; for terms that `answers` accepts.

    `visible`: of what counts and lists are that are computed from the rows below.
    """
    if term.key is not None:
        return _on_extra(term.key, term, take)
    if term.tag in COUNTS:
        return clause(count_of(term.tag, visible), term.shape, take)
    if term.tag in _OF_CHILDREN:
        return _OF_CHILDREN[term.tag](term, take, visible)
    if term.tag == sets.AVAILABLE_TRANSFER_SYNTAX_UID:
        return clause(instances.c.transfer_syntax, term.shape, take)
    return _on_attribute(BY_TAG[term.tag], term, take)
