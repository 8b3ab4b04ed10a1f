"""What the hooks say about themselves: their section of the manual is made from it."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType

from dicomweb_server import hookspecs

_MARK = f"{hookspecs.PROJECT}_spec"
_SECTION = re.compile(r"^(Args|Returns|Called):\n((?:    .*\n|\n)+)", re.MULTILINE)
_ARGUMENT = re.compile(r"^(\w+): ", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class HookDescription:
    """One hook, by the sections of its docstring.

    Attributes:
        purpose: what it is for, in sentences.
        receives: parameter -> what it is; an implementation takes those that it wants.
        types: parameter -> its type, as the signature spells it; under "return", that of what it
            returns.
        returns: what it returns.
        called: when it is called, and how often.
    """

    name: str
    purpose: str
    receives: Mapping[str, str]
    types: Mapping[str, str]
    returns: str
    called: str


def described_hooks(module: ModuleType = hookspecs) -> list[HookDescription]:
    """Every hook that a module specifies, in its order.

    Raises ValueError with the name of a hook whose docstring leaves something out.
    """
    functions = [value for value in vars(module).values() if hasattr(value, _MARK)]
    return [_described(function) for function in functions]


def _described(hook: object) -> HookDescription:
    if not inspect.isfunction(hook):
        raise ValueError(f"{hook!r} is marked as a hook and is no function")
    text = inspect.cleandoc(hook.__doc__ or "") + "\n"
    sections = {name: inspect.cleandoc(body) for name, body in _SECTION.findall(text)}
    signature = inspect.signature(hook)
    described = HookDescription(
        name=hook.__name__,
        purpose=_line(_SECTION.sub("", text)),
        receives=_arguments(sections.get("Args", "")),
        types=hook.__annotations__,
        returns=_line(sections.get("Returns", "")),
        called=_line(sections.get("Called", "")),
    )
    _check(described, list(signature.parameters))
    return described


def _arguments(section: str) -> dict[str, str]:
    _, *pieces = _ARGUMENT.split(section)
    return {name: _line(text) for name, text in zip(pieces[::2], pieces[1::2], strict=True)}


def _line(text: str) -> str:
    return " ".join(text.split())


def _check(hook: HookDescription, parameters: list[str]) -> None:
    parts = {"a sentence": hook.purpose, "Returns:": hook.returns, "Called:": hook.called}
    missing = [name for name, text in parts.items() if not text]
    if list(hook.receives) != parameters or not all(hook.receives.values()):
        missing.append(f"Args: with {', '.join(parameters) or 'nothing'}")
    if missing:
        raise ValueError(f"the docstring of the hook {hook.name} lacks {', '.join(missing)}")


def hooks_section() -> str:
    """The section of the manual."""
    return "\n\n".join(_markdown(hook) for hook in described_hooks())


def _markdown(hook: HookDescription) -> str:
    receives = "; ".join(
        f"`{name}` (`{hook.types[name]}`), {text.rstrip('.')}"
        for name, text in hook.receives.items()
    )
    kind = hook.types["return"]
    returns = hook.returns if kind == "None" else f"`{kind}`: {hook.returns}"
    return (
        f"### `{hook.name}({', '.join(hook.receives)})`\n\n{hook.purpose}\n\n"
        f"- Receives {receives or 'nothing'}.\n- Returns {returns}\n- Called {hook.called}"
    )
