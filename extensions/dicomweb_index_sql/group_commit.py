"""Turns what many threads want to write at the same moment into one transaction.

A commit costs one flush of the disk, whatever it holds. So whoever comes first writes for all
who queued while the previous transaction was under way.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

J = TypeVar("J")
R = TypeVar("R")


@dataclass(eq=False)
class _Ticket(Generic[J, R]):
    job: J
    done: bool = False
    result: R | None = None
    error: Exception | None = field(default=None)


class GroupCommit(Generic[J, R]):
    """Runs jobs of many threads in as few calls of `write` as possible."""

    def __init__(self, write: Callable[[Sequence[J]], Sequence[R]]) -> None:
        self._write = write
        self._queue: list[_Ticket[J, R]] = []
        self._queue_lock = threading.Lock()
        self._leader = threading.Lock()

    def submit(self, job: J) -> R:
        """The result of the job, once it is durable; raises what its transaction raised."""
        ticket: _Ticket[J, R] = _Ticket(job)
        with self._queue_lock:
            self._queue.append(ticket)
        with self._leader:
            if not ticket.done:
                with self._queue_lock:
                    tickets, self._queue = self._queue, []
                self._run(tickets)
        if ticket.error is not None:
            raise ticket.error
        return ticket.result  # type: ignore[return-value]

    def _run(self, tickets: Sequence[_Ticket[J, R]]) -> None:
        try:
            self._finish(tickets, self._write([ticket.job for ticket in tickets]))
        except Exception as error:
            if len(tickets) == 1:
                tickets[0].error, tickets[0].done = error, True
                return
            # One bad job must not fail the others: each gets a transaction of its own.
            for ticket in tickets:
                self._run([ticket])

    @staticmethod
    def _finish(tickets: Sequence[_Ticket[J, R]], results: Sequence[R]) -> None:
        for ticket, result in zip(tickets, results, strict=True):
            ticket.result, ticket.done = result, True
