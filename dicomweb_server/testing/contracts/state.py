"""What every `StateStore` must do."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from dicomweb_server.interfaces.state import Conflict, StateStore
from dicomweb_server.testing.threads import together

LONG = 600.0


class StateStoreContract:
    """Give the fixture `state`: an empty `StateStore`."""

    @pytest.fixture
    def state(self) -> StateStore:
        """The store under test."""
        raise NotImplementedError("override the fixture `state`")

    # --- documents -------------------------------------------------------------------------

    @pytest.mark.parametrize(
        "value", [None, True, 0, -1.5, "", "Ωé山", [], {}, {"a": [1, {"b": None}]}, 2**53]
    )
    def test_a_json_value_comes_back(self, state: StateStore, value: Any) -> None:
        state.put("space", "key", value)
        found = state.get("space", "key")
        assert found is not None
        assert found.value == value
        assert type(found.value) is type(value)

    def test_what_is_not_there_is_none(self, state: StateStore) -> None:
        assert state.get("space", "key") is None
        assert state.documents("space") == []
        assert state.delete("space", "key") is False

    def test_versions_count_from_one(self, state: StateStore) -> None:
        assert [state.put("space", "key", n).version for n in range(3)] == [1, 2, 3]
        found = state.get("space", "key")
        assert found is not None
        assert (found.key, found.value, found.version) == ("key", 2, 3)

    def test_writing_over_another_version_is_a_conflict(self, state: StateStore) -> None:
        state.put("space", "key", "old")
        for wrong in (0, 2):
            with pytest.raises(Conflict):
                state.put("space", "key", "new", expected=wrong)
        found = state.get("space", "key")
        assert found is not None
        assert (found.value, found.version) == ("old", 1)
        assert state.put("space", "key", "new", expected=1).version == 2

    def test_zero_expects_nothing_there(self, state: StateStore) -> None:
        with pytest.raises(Conflict):
            state.put("space", "key", "value", expected=1)
        assert state.get("space", "key") is None
        assert state.put("space", "key", "value", expected=0).version == 1

    def test_namespaces_do_not_meet(self, state: StateStore) -> None:
        state.put("one", "key", 1)
        state.put("two", "key", 2)
        assert state.delete("one", "key") is True
        found = state.get("two", "key")
        assert found is not None
        assert found.value == 2
        assert state.documents("one") == []

    def test_documents_are_found_by_prefix_in_order_of_their_keys(self, state: StateStore) -> None:
        for key in ("b/2", "a", "b/10", "b", "B/1", "c", "b%", "b_1"):
            state.put("space", key, key)
        assert [d.key for d in state.documents("space", "b/")] == ["b/10", "b/2"]
        assert [d.key for d in state.documents("space", "b_")] == ["b_1"]
        everything = [d.key for d in state.documents("space")]
        assert everything == sorted(everything)
        assert len(everything) == 8

    def test_a_deleted_document_begins_again(self, state: StateStore) -> None:
        state.put("space", "key", 1)
        state.put("space", "key", 2)
        state.delete("space", "key")
        assert state.get("space", "key") is None
        assert state.put("space", "key", 3, expected=0).value == 3

    def test_of_many_that_compare_and_swap_one_wins_each_time(self, state: StateStore) -> None:
        state.put("space", "count", 0)

        def add(_: int) -> int:
            lost = 0
            for _ in range(10):
                while True:
                    found = state.get("space", "count")
                    assert found is not None
                    try:
                        state.put("space", "count", found.value + 1, expected=found.version)
                        break
                    except Conflict:
                        lost += 1
            return lost

        together(add, range(6))
        found = state.get("space", "count")
        assert found is not None
        assert (found.value, found.version) == (60, 61)

    def test_of_many_that_make_a_document_one_wins(self, state: StateStore) -> None:
        def make(number: int) -> bool:
            try:
                state.put("space", "key", number, expected=0)
            except Conflict:
                return False
            return True

        won = together(make, range(8))
        found = state.get("space", "key")
        assert found is not None
        assert won.count(True) == 1
        assert found.value == won.index(True)

    # --- leases ----------------------------------------------------------------------------

    def test_a_lease_has_one_holder(self, state: StateStore) -> None:
        assert state.acquire("work", "a", LONG) is True
        assert state.acquire("work", "b", LONG) is False
        assert state.acquire("other work", "b", LONG) is True

    def test_the_holder_prolongs(self, state: StateStore) -> None:
        assert state.acquire("work", "a", 0.05)
        assert state.acquire("work", "a", LONG)
        threading.Event().wait(0.1)
        assert state.acquire("work", "b", LONG) is False

    def test_an_expired_lease_is_free(self, state: StateStore) -> None:
        assert state.acquire("work", "a", 0.05)
        threading.Event().wait(0.1)
        assert state.acquire("work", "b", LONG) is True
        assert state.acquire("work", "a", LONG) is False

    def test_a_lease_given_back_is_free(self, state: StateStore) -> None:
        state.acquire("work", "a", LONG)
        state.release("work", "a")
        assert state.acquire("work", "b", LONG) is True

    def test_nobody_gives_back_what_another_holds(self, state: StateStore) -> None:
        state.acquire("work", "a", LONG)
        state.release("work", "b")
        state.release("nothing", "b")
        assert state.acquire("work", "b", LONG) is False

    def test_of_many_that_want_a_lease_one_has_it(self, state: StateStore) -> None:
        held = together(lambda n: state.acquire("work", f"holder {n}", LONG), range(8))
        assert held.count(True) == 1

    # --- logs ------------------------------------------------------------------------------

    def test_a_log_is_read_by_cursor(self, state: StateStore) -> None:
        numbers = [state.append("log", {"n": n}) for n in range(5)]
        assert numbers == sorted(set(numbers))
        first = state.read("log", limit=2)
        assert [entry.value for entry in first] == [{"n": 0}, {"n": 1}]
        rest = state.read("log", after=first[-1].seq)
        assert [entry.seq for entry in rest] == numbers[2:]
        assert state.read("log", after=numbers[-1]) == []

    def test_logs_do_not_meet(self, state: StateStore) -> None:
        state.append("one", 1)
        state.append("two", 2)
        assert [entry.value for entry in state.read("two")] == [2]
        assert state.read("three") == []

    def test_a_cursor_misses_nothing_while_many_append(self, state: StateStore) -> None:
        seen: list[Any] = []

        def work(number: int) -> None:
            if number:
                for n in range(20):
                    state.append("log", [number, n])
                return
            cursor = 0
            while len(seen) < 80:
                for entry in state.read("log", after=cursor, limit=7):
                    cursor = entry.seq
                    seen.append(tuple(entry.value))

        together(work, range(5))
        assert sorted(seen) == [(number, n) for number in range(1, 5) for n in range(20)]
