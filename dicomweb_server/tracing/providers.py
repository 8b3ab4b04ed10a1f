"""Classes of providers whose methods are counted for the extension that offers them."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Generator, Iterator
from types import FunctionType
from typing import Any, TypeVar

from dicomweb_server.interfaces.storage import BlobWriter
from dicomweb_server.tracing.account import Account

C = TypeVar("C", bound=type[Any])
_NOT_FOR_REQUESTS = frozenset({"bind"})


def counted_class(account: Account, extension: str, kind: type[Any], chosen: C) -> C:
    """A subclass of `chosen` that counts the methods of the interface `kind`.

    It stands for `chosen` everywhere: a subclass passes every check of types. Properties are not
    counted.
    """
    methods = {
        name: counted(account, extension, method)
        for name in _public_methods(kind)
        # A method that is no plain function, such as a static one, stays as it is.
        if isinstance(method := inspect.getattr_static(chosen, name), FunctionType)
    }
    names = {"__module__": chosen.__module__, "__qualname__": chosen.__qualname__}
    # Without slots of its own an object of `chosen` can become one of the subclass.
    body = {"__slots__": (), "__doc__": chosen.__doc__} | names | methods
    metaclass: Any = type(chosen)
    made: C = metaclass(chosen.__name__, (chosen,), body)
    return made


def _public_methods(kind: type[Any]) -> list[str]:
    found = inspect.getmembers(kind, inspect.isfunction)
    return [name for name, _ in found if name[0] != "_" and name not in _NOT_FOR_REQUESTS]


def counted(account: Account, extension: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """A function that counts itself, and what it gives out: generators and writers of blobs."""
    classes: dict[type[Any], type[Any]] = {}

    @functools.wraps(function)
    def counting(*args: Any, **kwargs: Any) -> Any:
        with account.spending(extension):
            result = function(*args, **kwargs)
        if isinstance(result, Generator):
            return _stepwise(account, extension, result)
        if isinstance(result, BlobWriter):
            _count_writer(account, extension, result, classes)
        return result

    return counting


def _stepwise(account: Account, extension: str, steps: Generator[Any, None, None]) -> Iterator[Any]:
    """What a generator yields, each step counted: it works when it is asked."""
    end = object()
    try:
        while True:
            with account.spending(extension):
                item = next(steps, end)
            if item is end:
                return
            yield item
    finally:
        with account.spending(extension):
            steps.close()


def _count_writer(
    account: Account,
    extension: str,
    writer: BlobWriter,
    classes: dict[type[Any], type[Any]],
) -> None:
    """Let a writer count its methods. It stays the same object: its storage will want it back."""
    own = type(writer)
    if own not in classes:
        classes[own] = counted_class(account, extension, BlobWriter, own)
    writer.__class__ = classes[own]
