"""What may be asked of each verb, documented once: the library takes these settings, and the command line is made from them.

A class of settings is frozen and keyword-only; the docstring under each field is its documentation and, up to the first
blank line, the help of its option. Nothing here imports torch, so that ``--help`` answers at once.
"""

import ast
import inspect
import sys
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, dataclass, fields
from functools import cache
from typing import Any, TypeVar, cast, dataclass_transform, get_type_hints

T = TypeVar("T")


@dataclass(frozen=True)
class Spelled:
    """Names of the option, where they are not the field's own."""

    names: tuple[str, ...]

    def __init__(self, *names: str) -> None:
        object.__setattr__(self, "names", names)


@dataclass(frozen=True)
class Field:
    """A setting, with all that an option needs."""

    name: str
    annotation: Any
    """Its type, and `Spelled` perhaps."""
    default: Any
    """`dataclasses.MISSING` if it must be given."""
    text: str
    """Its documentation."""

    @property
    def help(self) -> str:
        """The first paragraph of its documentation, on one line."""
        return " ".join(self.text.split("\n\n")[0].split())


@dataclass_transform(frozen_default=True, kw_only_default=True)
def settings(kind: type[T]) -> type[T]:
    """Make a class of settings."""
    return dataclass(frozen=True, kw_only=True)(kind)


@cache
def described(kind: Any) -> Mapping[str, Field]:
    """The fields of a class of settings by name: its own first, then those of the classes it extends."""
    hints = get_type_hints(kind, include_extras=True)
    defaults = {field.name: field.default for field in fields(kind)}
    bases = [base for base in kind.__mro__ if base is not object]
    names = dict.fromkeys(name for base in bases for name in inspect.get_annotations(base))
    texts = {name: text for base in reversed(bases) for name, text in _docstrings(base).items()}
    return {name: Field(name, hints[name], defaults[name], texts.get(name, "")) for name in names}


def given(asked: object, *names: str) -> list[str]:
    """Those of the named fields that are not as they are by default."""
    known = described(cast(Any, type(asked)))
    return [name for name in names if known[name].default is MISSING or getattr(asked, name) != known[name].default]


def _docstrings(kind: type) -> Mapping[str, str]:
    """The string under each field of a class, by name."""
    return _in_module(kind.__module__).get(kind.__qualname__, {})


@cache
def _in_module(name: str) -> Mapping[str, Mapping[str, str]]:
    """The strings under the fields of a module's classes."""
    body = ast.parse(inspect.getsource(sys.modules[name])).body
    return {each.name: dict(_under_fields(each)) for each in body if isinstance(each, ast.ClassDef)}


def _under_fields(kind: ast.ClassDef) -> Iterator[tuple[str, str]]:
    for field, below in zip(kind.body, kind.body[1:], strict=False):
        is_text = isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant)
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and is_text:
            yield field.target.id, inspect.cleandoc(str(below.value.value))  # type: ignore[attr-defined]
