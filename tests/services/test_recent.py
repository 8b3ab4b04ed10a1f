"""What was used last is kept, within a limit."""

from __future__ import annotations

from dicomweb_server.services.recent import Recent


def test_what_was_not_used_for_longest_goes_first():
    recent: Recent[str, bytes] = Recent(100, len)
    for name in "abcd":
        recent.put(name, bytes(25))
    assert recent.get("a") == bytes(25)
    recent.put("e", bytes(20))
    assert recent.get("b") is None
    assert [name for name in "acde" if recent.get(name) is not None] == list("acde")


def test_what_would_drive_all_others_out_is_not_kept():
    recent: Recent[str, bytes] = Recent(100, len)
    recent.put("small", bytes(10))
    recent.put("large", bytes(26))
    assert recent.get("large") is None
    assert recent.get("small") == bytes(10)


def test_a_value_is_replaced_and_counted_once():
    recent: Recent[str, bytes] = Recent(40, len)
    for _ in range(10):
        recent.put("one", bytes(10))
    recent.put("two", bytes(10))
    assert recent.get("one") is not None
    assert recent.get("two") is not None
