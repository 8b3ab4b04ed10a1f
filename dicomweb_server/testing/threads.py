"""Runs one function in many threads at the same moment."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

A = TypeVar("A")
R = TypeVar("R")


def together(function: Callable[[A], R], arguments: Sequence[A]) -> list[R]:
    """The results in order; raises what the first failing call raised.

    There is one thread for each argument, and all begin when the last one is ready.
    """
    barrier = threading.Barrier(len(arguments))

    def run(argument: A) -> R:
        barrier.wait()
        return function(argument)

    with ThreadPoolExecutor(len(arguments)) as pool:
        return list(pool.map(run, arguments))
