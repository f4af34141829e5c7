"""The options of a command, made from the classes of settings that its function takes."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import MISSING, is_dataclass
from functools import wraps
from typing import Annotated, Any, get_args, get_origin

import typer

from echosyn.settings import Field, Spelled, described


def options_of(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function with an option for every field of the settings that ``function`` takes; equal fields share theirs."""
    own = inspect.signature(function).parameters
    groups: dict[str, Any] = {name: p.annotation for name, p in own.items() if is_dataclass(p.annotation)}
    shown = {
        name: {field: option for field, about in described(kind).items() if (option := _parameter(about)) is not None}
        for name, kind in groups.items()
    }
    rest = [parameter for name, parameter in own.items() if name not in groups]
    options: dict[str, inspect.Parameter] = {}
    for fields in shown.values():
        options = options | {name: option for name, option in fields.items() if name not in options}

    @wraps(function)
    def command(**values: Any) -> Any:
        # None stands for an option that was left out, a list for several values of one
        found = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
        asked = {}
        for name, kind in groups.items():
            needed = [f for f in shown[name] if found[f] is not None or described(kind)[f].default is MISSING]
            asked[name] = kind(**{f: found[f] for f in needed})
        return function(**{p.name: values[p.name] for p in rest}, **asked)

    command.__signature__ = inspect.Signature([*rest, *options.values()])  # type: ignore[attr-defined]
    command.__annotations__ = {p.name: p.annotation for p in [*rest, *options.values()]}
    del command.__wrapped__
    return command


def _parameter(field: Field) -> inspect.Parameter | None:
    """The option of a field; none for a field that is not spelled on the command line."""
    kind, names = _parts(field)
    if not names:
        return None
    default = None if field.default is MISSING or field.default == () else field.default
    many = get_origin(kind) is tuple
    kind = list[get_args(kind)[0]] | None if many else kind  # type: ignore[misc]
    option = typer.Option(*names, help=field.help, show_default=default is not None and "default" not in field.help)
    parameter = {"default": inspect.Parameter.empty if field.default is MISSING else default}
    return inspect.Parameter(
        field.name, inspect.Parameter.KEYWORD_ONLY, annotation=Annotated[kind, option], **parameter
    )


def _parts(field: Field) -> tuple[Any, tuple[str, ...]]:
    """Type and names of an option."""
    names: tuple[str, ...]
    kind, names = field.annotation, ("--" + field.name.replace("_", "-"),)
    if get_origin(kind) is Annotated:
        kind, *marks = get_args(kind)
        names = next((mark.names for mark in marks if isinstance(mark, Spelled)), names)
    return kind, names


def spelling(kind: type) -> Mapping[str, str]:
    """How the options of a class of settings are spelled, by field."""
    return {name: _parts(field)[1][0] for name, field in described(kind).items() if _parts(field)[1]}
