"""Which studies a rule is about, as conditions of the public search language."""

from __future__ import annotations

from dicomweb_authz_rules.rules import Studies
from dicomweb_server.config import ConfigError, nearest_name
from dicomweb_server.context import ServerContext
from dicomweb_server.interfaces.auth import Conditions
from dicomweb_server.ps318 import attributes as sets
from dicomweb_server.ps318.errors import Ps318Error
from dicomweb_server.ps318.matching import AnyOf, Equals
from dicomweb_server.ps318.query import Condition, QueryLevel, parse_query, sharing_items

_UNFIT = sets.COUNTS | {sets.INSTANCE_AVAILABILITY, sets.AVAILABLE_TRANSFER_SYNTAX_UID}
"""Attributes that an instance does not bring along, so that nobody could store by them."""


def conditions_of(studies: Studies, context: ServerContext) -> Conditions:
    """The conditions, all of which a study must fulfil; raises `ConfigError`."""
    found = tuple(_condition(name, alternatives, context) for name, alternatives in studies)
    if shared := sharing_items(found):
        name = context.dictionary.keyword(shared[0].tag) or shared[0].tag
        raise ConfigError(
            f"Studies looks twice into {name}, and the index cannot tell whether the same item "
            f"fulfils both; possible is one condition for each sequence"
        )
    return found


def _condition(name: str, alternatives: tuple[str, ...], context: ServerContext) -> Condition:
    found = [_parsed(name, text, context) for text in alternatives]
    first = found[0]
    if len(found) > 1:
        predicate = AnyOf(tuple(each.predicate for each in found))
        first = Condition(first.path, first.vr, predicate)
    if first.tag in _UNFIT or not context.index.keeps(first, QueryLevel.STUDY):
        raise ConfigError(
            f"Studies names {name} with {alternatives[0]!r}, which the index cannot tell; "
            f"possible are {', '.join(_possible(context))}"
        )
    return first


def _parsed(name: str, text: str, context: ServerContext) -> Condition:
    dictionary = context.dictionary
    try:
        query = parse_query(
            *([(name, text)], QueryLevel.STUDY, dictionary),
            case_sensitive=True,
            keywords=dictionary.keywords,
        )
    except Ps318Error as error:
        raise ConfigError(f"Studies: {error.details}") from error
    if not query.conditions:
        nearest = nearest_name(name, dictionary.keywords)
        hint = f"; did you mean {nearest}?" if nearest else ""
        raise ConfigError(f"Studies names {name!r}, which is no attribute{hint}")
    (condition,) = query.conditions
    if condition.is_universal:
        raise ConfigError(
            f"Studies has {text!r} for {name}, which every study fulfils; leave {name} out"
        )
    return condition


def _possible(context: ServerContext) -> list[str]:
    """Keywords of what a rule can name."""
    tags = {tag for level in sets.MAIN.values() for tag in level}
    tags |= context.main_tags.all
    tags |= {sets.MODALITIES_IN_STUDY, sets.SOP_CLASSES_IN_STUDY}
    return sorted(context.dictionary.keyword(tag) or tag for tag in tags if _fits(tag, context))


def _fits(tag: str, context: ServerContext) -> bool:
    condition = Condition((tag,), context.dictionary.vr(tag), Equals("1"))
    return tag not in _UNFIT and context.index.keeps(condition, QueryLevel.STUDY)
