"""The search language: reading it (PS3.18, 8.3.4) and matching with it (PS3.4, C.2.2.2)."""

import fnmatch
import re
import time
from decimal import Decimal
from unicodedata import normalize

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dicomweb_server.dicom.tags import STANDARD
from dicomweb_server.ps318.errors import BadRequest
from dicomweb_server.ps318.query import (
    AnyOf,
    AnyValue,
    Equals,
    EqualsNumber,
    IncludeFields,
    Match,
    OneOf,
    QueryLevel,
    Range,
    Wildcard,
    fits,
    fold,
    parse_query,
    texts_of,
    to_prefix,
)
from tests.ps318 import outcome

KNOWN = {
    "PatientName": ("00100010", "PN"),
    "PatientID": ("00100020", "LO"),
    "PatientAge": ("00101010", "AS"),
    "StudyInstanceUID": ("0020000D", "UI"),
    "StudyDate": ("00080020", "DA"),
    "StudyTime": ("00080030", "TM"),
    "AcquisitionDateTime": ("0008002A", "DT"),
    "StudyDescription": ("00081030", "LO"),
    "Modality": ("00080060", "CS"),
    "ModalitiesInStudy": ("00080061", "CS"),
    "SeriesNumber": ("00200011", "IS"),
    "SliceThickness": ("00180050", "DS"),
    "Rows": ("00280010", "US"),
    "RecommendedDisplayFrameRateInFloat": ("00089459", "FL"),
    "SmallestImagePixelValue": ("00280106", "US or SS"),
    "PixelData": ("7FE00010", "OB or OW"),
    "FrameIncrementPointer": ("00280009", "AT"),
    "RequestAttributesSequence": ("00400275", "SQ"),
    "ScheduledProcedureStepID": ("00400009", "SH"),
    "Private": ("00091001", "UN"),
}


class Dictionary:
    keywords = tuple(KNOWN)

    def resolve(self, name):
        tags = {tag for tag, _ in KNOWN.values()}
        return KNOWN[name][0] if name in KNOWN else name if name in tags else None

    def vr(self, tag):
        return next(vr for known, vr in KNOWN.values() if known == tag)


def parse(*pairs, case_sensitive=True, level="study"):
    return parse_query(pairs, level, Dictionary(), case_sensitive=case_sensitive)


def condition(key, value, **options):
    (found,) = parse((key, value), **options).conditions
    return found


def predicate(key, value, **options):
    return condition(key, value, **options).predicate


def matches(key, value, *values, **options):
    return condition(key, value, **options).matches_values(values)


# What a request says

READ = [
    ("PatientID", "x", Equals("x")),
    ("00100020", "x", Equals("x")),
    ("0010,0020", "x", Equals("x")),
    ("0010-0020", "x", Equals("x")),
    ("(0010,0020)", "x", Equals("x")),
    ("PatientID", "", AnyValue()),
    ("PatientID", "*", AnyValue()),
    ("PatientID", "**", AnyValue()),
    ("StudyInstanceUID", "*", AnyValue()),
    ("StudyDate", "*", AnyValue()),
    ("RequestAttributesSequence", "", AnyValue()),
    ("PixelData", "", AnyValue()),
    ("PatientID", " x ", Equals("x")),
    ("PatientID", "A*", Wildcard("A*")),
    ("PatientID", "A?b", Wildcard("A?b")),
    ("PatientName", "Müller^J*", Wildcard("müller^j*", folded=True)),
    ("PatientName", "Smith^John^^", Equals("smith^john", folded=True)),
    ("StudyInstanceUID", "1.2,1.3", OneOf(("1.2", "1.3"))),
    ("StudyInstanceUID", "1.2\\1.3\\", OneOf(("1.2", "1.3"))),
    ("ModalitiesInStudy", "MR,CT", OneOf(("MR", "CT"))),
    ("ModalitiesInStudy", "MR,C*", AnyOf((Equals("MR"), Wildcard("C*")))),
    ("ModalitiesInStudy", "MR,*", AnyValue()),
    ("StudyDescription", "Head, neck", OneOf(("Head", "neck", "Head, neck"))),
    ("StudyDate", "20080819", Range("DA", "20080819", "20080819")),
    ("StudyDate", "2008.08.19", Range("DA", "20080819", "20080819")),
    ("StudyDate", "20080101-20081231", Range("DA", "20080101", "20081231")),
    ("StudyDate", "20080101-", Range("DA", "20080101", None)),
    ("StudyDate", "-20081231", Range("DA", None, "20081231")),
    ("StudyDate", "20080101 - 20081231", Range("DA", "20080101", "20081231")),
    ("StudyDate", "1940-1950", Range("DA", "19400101", "19501231")),
    ("StudyDate", "200802-200802", Range("DA", "20080201", "20080229")),
    ("StudyTime", "0837", Range("TM", "083700.000000", "083759.999999")),
    ("StudyTime", "08:37:22", Range("TM", "083722.000000", "083722.999999")),
    ("StudyTime", "10-11", Range("TM", "100000.000000", "115959.999999")),
    ("StudyTime", "-0830", Range("TM", None, "083059.999999")),
    ("StudyTime", "083722.5", Range("TM", "083722.500000", "083722.599999")),
    ("AcquisitionDateTime", "2008", Range("DT", "20080101000000.000000", "20081231235959.999999")),
    ("AcquisitionDateTime", "2008-2009", Range("DT", "20080101000000.000000", "20091231235959.999999")),
    ("AcquisitionDateTime", "20080819083722-0400", Range("DT", "20080819123722.000000", "20080819123722.999999", utc=True)),
    ("AcquisitionDateTime", "20080819083722+0130", Range("DT", "20080819070722.000000", "20080819070722.999999", utc=True)),
    ("AcquisitionDateTime", "20080819-0400-", Range("DT", "20080819040000.000000", None, utc=True)),
    ("AcquisitionDateTime", "-20080819-0400", Range("DT", None, "20080820035959.999999", utc=True)),
    ("AcquisitionDateTime", "20080819-0400-20080820-0400", Range("DT", "20080819040000.000000", "20080821035959.999999", utc=True)),
    ("SeriesNumber", "007", EqualsNumber(Decimal(7), "IS")),
    ("SliceThickness", "2.50", EqualsNumber(Decimal("2.5"), "DS")),
    ("Rows", "512,0256", AnyOf((EqualsNumber(Decimal(512), "US"), EqualsNumber(Decimal(256), "US")))),
    ("SmallestImagePixelValue", "1", EqualsNumber(Decimal(1), "US")),
    ("FrameIncrementPointer", "0018106a", Equals("0018106A")),
    ("PatientAge", "010Y", Equals("010Y")),
    ("00091001", "x", Equals("x")),
]  # fmt: skip


@pytest.mark.parametrize(("key", "value", "expected"), READ, ids=[f"{k}={v}" for k, v, _ in READ])
def test_what_a_value_means(key, value, expected):
    assert predicate(key, value) == expected


REFUSED = [
    ("limit", "x", "limit='x'"),
    ("limit", "-1", "limit"),
    ("limit", "", "limit"),
    ("limit", "1.0", "limit"),
    ("limit", "²", "limit"),
    ("offset", "99999999999999999999", "offset"),
    ("offset", "+1", "offset"),
    ("fuzzymatching", "yes", "true or false"),
    ("fuzzymatching", "", "true or false"),
    ("StudyDate", "2008", "StudyDate='2008' is not a DA"),
    ("StudyDate", "20081345", "YYYYMMDD"),
    ("StudyDate", "2008-01-01", "StudyDate"),
    ("StudyDate", "2008*", "StudyDate"),
    ("StudyDate", "-", "StudyDate"),
    ("StudyDate", "today", "StudyDate"),
    ("StudyDate", "20080819,x", "StudyDate='x'"),
    ("StudyTime", "25", "StudyTime"),
    ("StudyTime", "8", "StudyTime"),
    ("StudyTime", "10-99", "StudyTime"),
    ("AcquisitionDateTime", "20081301", "AcquisitionDateTime"),
    ("StudyInstanceUID", "1.2*", "StudyInstanceUID='1.2*' holds a wild card"),
    ("PatientAge", "01?Y", "wild card"),
    ("Rows", "512*", "not a number"),
    ("Rows", "1-5", "not a number"),
    ("Rows", "inf", "not a number"),
    ("Rows", "1_0", "not a number"),
    ("SliceThickness", "1e999999", "not a number"),
    ("Rows", "1" * 100, "not a number"),
    ("ModalitiesInStudy", ",", "without any value"),
    ("RequestAttributesSequence", "x", "is a sequence"),
    ("PixelData", "x", "binary"),
    ("99990001", "x", "99990001"),
    ("9999,0001", "x", "not in the dictionary"),
    ("deadbeef", "", "not in the dictionary"),
    ("patientname", "x", "written PatientName"),
    ("PATIENTID", "", "written PatientID"),
    ("00400275.00409999", "x", "00409999"),
    ("00400275.ScheduledProcedureStepId", "x", "written ScheduledProcedureStepID"),
    (
        "RequestAttributesSequence.ScheduledProcedureStep",
        "x",
        "nearest is ScheduledProcedureStepID",
    ),
    ("RequestAttributesSequence.", "x", "unknown"),
    ("PatientID.PatientName", "x", "PatientID, which is not a sequence"),
]


@pytest.mark.parametrize(
    ("key", "value", "words"), REFUSED, ids=[f"{k}={v[:20]}" for k, v, _ in REFUSED]
)
def test_what_cannot_be_is_400(key, value, words):
    with pytest.raises(BadRequest) as caught:
        parse((key, value))
    assert words in caught.value.details
    assert caught.value.details.endswith(".")


def test_a_whole_request():
    query = parse(
        ("", ""),
        ("PatientName", "A*"),
        ("limit", "5"),
        ("offset", "10"),
        ("fuzzymatching", "true"),
        ("includefield", "StudyDescription,00080060, 0010,0020"),
        ("includefield", "RequestAttributesSequence.ScheduledProcedureStepID"),
        ("includefield", "nonsense"),
        ("accept", "application/dicom+json"),
        ("token", "x"),
        ("utm.source", "y"),
        ("emptyvaluematching", "true"),
        ("00400275.00400009", "7"),
        level=QueryLevel.SERIES,
    )
    assert query.level is QueryLevel.SERIES
    assert [each.path for each in query.conditions] == [("00100010",), ("00400275", "00400009")]
    assert query.include == IncludeFields(("00081030", "00080060", "00100020", "00400275"))
    assert (query.limit, query.offset, query.fuzzy) == (5, 10, True)
    assert query.ignored == ("includefield=nonsense", "token", "utm.source")


def test_what_says_how_to_read_the_request_is_no_condition():
    def read(*pairs):
        return parse_query(pairs, "study", STANDARD, case_sensitive=True)

    query = read(("TimezoneOffsetFromUTC", "+0100"), ("SpecificCharacterSet", "ISO_IR 100"))
    assert query.conditions == ()
    assert query.zone
    assert query.include.tags == ("00080201",)
    assert not read(("00080201", ""), ("StudyDate", "20200101")).zone


def test_nothing_asked():
    query = parse()
    assert query == parse(("limit", "0"), ("offset", "0"), ("", "x"))
    assert (query.conditions, query.limit, query.offset) == ((), None, 0)


def test_the_dictionary_of_the_server():
    def read(key, value):
        return parse_query([(key, value)], "study", STANDARD, case_sensitive=True).conditions

    assert read("0008,0020", "20080819")[0].vr == "DA"
    assert read("00280106", "5")[0].predicate == EqualsNumber(Decimal(5), "US")
    assert read("RequestAttributesSequence.ScheduledProcedureStepID", "x")[0].path == (
        "00400275",
        "00400009",
    )
    with pytest.raises(BadRequest, match="99980001"):
        parse_query([("99980001", "x")], "study", STANDARD, case_sensitive=True)
    # what the VR of a private attribute is, each file says itself
    assert read("00091001", "x")[0].matches({"00091001": {"vr": "LO", "Value": ["x"]}})


def test_a_long_key_takes_no_long_time():
    many = tuple(f"{name}{n}" for n in range(300) for name in KNOWN)
    start = time.perf_counter()
    with pytest.raises(BadRequest, match="unknown"):
        parse_query(
            [("00400275." + "PatientName" * 700, "x")],
            "study",
            Dictionary(),
            case_sensitive=True,
            keywords=many,
        )
    assert time.perf_counter() - start < 1


def test_includefield_all():
    assert parse(("includefield", "all")).include.all
    assert parse(("includefield", "all"), ("includefield", "PatientID")).include == IncludeFields(
        ("00100020",), all=True
    )


def test_the_last_of_equal_keys_wins_in_whatever_spelling():
    query = parse(("PatientID", "a"), ("limit", "1"), ("00100020", "b"), ("limit", "2"))
    assert (query.conditions, query.limit) == ((Match(("00100020",), "LO", Equals("b")),), 2)


def test_conditions_are_found_and_added():
    one = Match(("0020000D",), "UI", Equals("1.2"))
    query = parse(("PatientID", "x")).with_condition(one)
    assert query.condition_on("0020000D") is one
    assert query.condition_on("00080020") is None
    assert len(query.conditions) == 2


# What matches

MATCHES = [
    ("PatientID", "5yp0e", ["5Yp0E"], False),
    ("PatientID", "5Yp0E", ["5Yp0E "], True),
    ("PatientName", "MÜLLER^jörg", ["Müller^Jörg"], True),
    ("PatientName", "muller*", ["Müller^Jörg"], False),
    ("PatientName", "Mu\u0308ller^*", ["Müller^Jörg"], True),
    ("PatientName", "иванов*", ["ИВАНОВ^Иван"], True),
    ("PatientName", "Wang*", ["Wang^XiaoDong=王^小東="], True),
    ("PatientName", "王^小東", ["Wang^XiaoDong=王^小東="], True),
    ("PatientName", "Wang^XiaoDong", ["Wang^XiaoDong=王^小東="], True),
    ("PatientName", "*=王*", ["Wang^XiaoDong=王^小東="], True),
    ("PatientName", "Wang^XiaoDong=王^小東", ["Wang^XiaoDong=王^小東="], True),
    ("PatientName", "Smith^John", ["Smith^John^^^"], True),
    ("PatientName", "Smith^John^^", ["Smith^John"], True),
    ("PatientName", "Smith", ["Smith^John"], False),
    ("PatientID", "*", [], True),
    ("PatientID", "", [], True),
    ("PatientID", "?*", [], False),
    ("PatientID", "a*", [""], False),
    ("PatientID", "a?c", ["abc"], True),
    ("PatientID", "a?c", ["ac"], False),
    ("PatientID", "*b*d*", ["abcd"], True),
    ("PatientID", "*d*b*", ["abcd"], False),
    ("PatientID", "a.c*", ["abc"], False),
    ("Modality", "MR", ["CT", "MR"], True),
    ("ModalitiesInStudy", "MR,CT", ["PT", "CT"], True),
    ("ModalitiesInStudy", "MR,C*", ["CT"], True),
    ("ModalitiesInStudy", "MR,C*", ["PT"], False),
    ("StudyDescription", "Head, neck", ["Head, neck"], True),
    ("Rows", "0512", ["512"], True),
    ("Rows", "512", ["513"], False),
    ("Rows", "512", [], False),
    ("SliceThickness", "2.50", ["2.5"], True),
    ("SliceThickness", "2.5", ["+25E-1 "], True),
    ("SliceThickness", "2.5", ["thick"], False),
    ("RecommendedDisplayFrameRateInFloat", "10.1", ["10.100000381469727"], True),
    ("RecommendedDisplayFrameRateInFloat", "1e39", ["1e38"], False),
    ("StudyDate", "20080819", ["20080819"], True),
    ("StudyDate", "20080819", ["2008.08.19"], True),
    ("StudyDate", "20080101-20081231", ["20081231"], True),
    ("StudyDate", "20080101-20081231", ["20090101"], False),
    ("StudyDate", "20080101-20081231", ["", "rubbish"], False),
    ("StudyDate", "-20081231", [], False),
    ("StudyTime", "083722", ["083722.000000"], True),
    ("StudyTime", "083722", ["08:37:22"], True),
    ("StudyTime", "0837", ["083722.123"], True),
    ("StudyTime", "0837", ["083800"], False),
    ("StudyTime", "10-11", ["115959.999"], True),
    ("StudyTime", "10-11", ["12"], False),
    ("StudyTime", "10-11", ["10"], True),
    ("AcquisitionDateTime", "20080819123722-0000", ["20080819083722-0400"], True),
    ("AcquisitionDateTime", "20080819083722", ["20080819083722.5-0400"], True),
    ("AcquisitionDateTime", "20080819083722-0400", ["20080819083722"], False),
    ("AcquisitionDateTime", "2008-2009", ["20090101"], True),
    ("AcquisitionDateTime", "2008-2009", ["2010"], False),
]  # fmt: skip


@pytest.mark.parametrize(
    ("key", "value", "values", "expected"), MATCHES, ids=[f"{k}={v} {x}" for k, v, x, _ in MATCHES]
)
def test_matching(key, value, values, expected):
    assert matches(key, value, *values) is expected


def test_insensitive_everywhere_if_configured():
    assert matches("PatientID", "ÉT?e", "éTÉe", case_sensitive=False)
    assert matches("Modality", "mr,ct", "CT", case_sensitive=False)
    assert not matches("PatientID", "ete", "été", case_sensitive=False)


def test_folding():
    assert fold("É") == fold("e\u0301") == fold("é") != fold("e")
    assert fold("STRASSE") == fold("straße")


def test_data_sets():
    data = {
        "00100010": {"vr": "PN", "Value": [{"Alphabetic": "Wang^X", "Ideographic": "王^小東"}, {}]},
        "00280010": {"vr": "US", "Value": [512]},
        "00080060": {"vr": "CS", "Value": [None, "MR"]},
        "00100020": {"vr": "LO"},
        "7FE00010": {"vr": "OW", "BulkDataURI": "x"},
        "00400275": {
            "vr": "SQ",
            "Value": [
                {"00080060": {"vr": "CS", "Value": ["MR"]}},
                {"00400009": {"vr": "SH", "Value": ["7"]}},
            ],
        },
    }
    assert parse(("PatientName", "王*"), ("Rows", "512"), ("Modality", "MR")).matches(data)
    assert parse(("00400275.00400009", "7")).matches(data)
    assert parse(("00400275.00400009", ""), ("PatientAge", "")).matches(data)
    assert not parse(("00400275.00400009", "8")).matches(data)
    assert not parse(("00400275.00400009", "7"), ("00400275.00080060", "MR")).matches(data)
    assert not parse(("PatientID", "7")).matches(data)
    assert not parse(("00400275.00400009", "7")).matches({})
    assert texts_of(data["00100010"]) == ("Wang^X=王^小東",)
    assert texts_of(None) == texts_of(data["7FE00010"]) == ()


def test_the_outermost_tag_is_what_the_answer_shows():
    found = condition("00400275.00400009", "")
    assert (found.tag, found.vr, found.is_universal) == ("00400275", "SH", True)


@pytest.mark.parametrize(
    ("pattern", "prefix"),
    [("SMITH*", "SMITH"), ("A**", "A"), ("*", ""), ("A*B*", None), ("A?*", None), ("A", None)],
)
def test_prefix(pattern, prefix):
    assert to_prefix(pattern) == prefix


# Properties

few = st.text("ab^=?*é\n", max_size=8)


@given(few, st.text("ab^=?*é\n", max_size=10))
def test_wildcards_against_an_oracle(pattern, text):
    expression = "".join(".*" if c == "*" else "." if c == "?" else re.escape(c) for c in pattern)
    assert fits(pattern, text) is (re.fullmatch(expression, text, re.DOTALL) is not None)
    assert fits(pattern, text) is fnmatch.fnmatchcase(text, pattern)
    if (prefix := to_prefix(pattern)) is not None:
        assert fits(pattern, text) is text.startswith(prefix)


def test_many_wildcards_take_no_long_time():
    assert not fits("*a" * 200 + "b", "a" * 10_000)
    assert not fits("*a?" * 30 + "b", "a" * 2_000)


days = st.dates().map(lambda day: f"{day:%Y%m%d}".rjust(8, "0"))


@given(days, days, days)
def test_date_ranges_against_an_oracle(low, high, day):
    assert matches("StudyDate", f"{low}-{high}", day) is (low <= day <= high)
    assert matches("StudyDate", f"{low}-", day) is (low <= day)
    assert matches("StudyDate", f"-{high}", day) is (day <= high)
    assert matches("StudyDate", low, day) is (low == day)


times = st.times().map(lambda time: f"{time:%H%M%S.%f}")


@given(times, times, times, st.sampled_from([2, 4, 6, 8, 13]))
def test_time_ranges_against_an_oracle(low, high, time, precision):
    low, high = low[:precision], high[:precision]
    assert matches("StudyTime", low, time) is (time.startswith(low))
    expected = low <= time[:precision] <= high
    assert matches("StudyTime", f"{low}-{high}", time) is expected


words = st.one_of(
    st.sampled_from(["", "*", "?", ",", "\\", "-", ".", "1.2", "20080819", "2008", "10", "-0400",
                     "a", "=", "^", "é", "\0", "1e9", "all", "true"]), st.text(max_size=3),
)  # fmt: skip
values = st.lists(words, max_size=5).map("".join)
keys = st.one_of(
    st.sampled_from([*KNOWN, *(tag for tag, _ in KNOWN.values()), "limit", "offset", "includefield",
                     "fuzzymatching", "00400275.00400009", "x", "0010,0020", "."]), values,
)  # fmt: skip


@given(st.lists(st.tuples(keys, values), max_size=4), st.booleans())
def test_any_request_is_read_or_refused_with_a_sentence(pairs, case_sensitive):
    query = outcome(lambda: parse(*pairs, case_sensitive=case_sensitive))
    if isinstance(query, BadRequest):
        assert query.details.endswith(".")
        return
    assert query.matches({}) == all(each.is_universal for each in query.conditions)
    assert hash(query) == hash(query)


@given(st.sampled_from(list(KNOWN)), values)
def test_what_is_stored_is_found_by_its_own_value(key, value):
    """Single values of text match themselves, whatever they hold."""
    vr = KNOWN[key][1]
    if vr in ("LO", "PN", "SH") and value.strip(" \0,") and not {"\\", "\0"} & set(value):
        assert matches(key, value, value)


@given(values, st.lists(values, max_size=3))
def test_text_against_an_oracle(value, stored):
    """Lists, wild cards and equality of LO, spelt out as one regular expression per alternative."""
    if not value.strip(" \0").strip("*"):
        return
    got = outcome(lambda: matches("PatientID", value, *stored))
    if isinstance(got, BadRequest):
        return
    whole = normalize("NFC", value).strip(" \0")
    alternatives = [each.strip(" \0") for each in [*re.split(r"[,\\]", whole), whole]]
    alternatives = [each for each in alternatives if each]
    expressions = [
        re.escape(each).replace(r"\*", ".*").replace(r"\?", ".") for each in alternatives
    ]
    clean = [normalize("NFC", each).strip(" \0") for each in stored]
    expected = any(re.fullmatch(e, text, re.DOTALL) for e in expressions for text in clean)
    if all(each.strip("*") for each in alternatives):
        assert got is expected


@pytest.mark.parametrize("key", ["FFFFFFFF", "00010002", "(0007,1001)"])
def test_groups_that_no_private_attribute_can_have_are_refused(key):
    with pytest.raises(BadRequest, match=r"not in the dictionary"):
        parse_query([(key, "x")], "study", Dictionary(), case_sensitive=True)
