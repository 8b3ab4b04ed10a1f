"""Searching: the language that indexes answer (PS3.18, 8.3.4; PS3.4, C.2.2.2).

`parse_query` makes a `Query`; its conditions hold predicates. Everything public is importable from
here.
"""

from dicomweb_server.ps318.matching import (
    AnyOf,
    AnyValue,
    Equals,
    EqualsNumber,
    OneOf,
    Predicate,
    Range,
    Wildcard,
    fits,
    fold,
    name_texts,
    plain,
    texts_of,
    to_prefix,
)
from dicomweb_server.ps318.query_model import (
    Condition,
    IncludeFields,
    Match,
    Query,
    QueryLevel,
    all_match,
    sharing_items,
)
from dicomweb_server.ps318.query_parser import (
    AttributeDictionary,
    parse_include_fields,
    parse_query,
)

__all__ = [
    "AnyOf",
    "AnyValue",
    "AttributeDictionary",
    "Condition",
    "Equals",
    "EqualsNumber",
    "IncludeFields",
    "Match",
    "OneOf",
    "Predicate",
    "Query",
    "QueryLevel",
    "Range",
    "Wildcard",
    "all_match",
    "fits",
    "fold",
    "name_texts",
    "parse_include_fields",
    "parse_query",
    "plain",
    "sharing_items",
    "texts_of",
    "to_prefix",
]
