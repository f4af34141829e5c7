"""Settings: frozen, validated, layered (defaults, preset, file, ``--set a.b=c``), and an unknown name finds its near miss."""

import difflib
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar, get_args

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import BaseModel, ConfigDict, ValidationError
from yaml import YAMLError

from echosyn.errors import ConfigError


class Settings(BaseModel):
    """Base of all settings: immutable, keyword-only, unknown names refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


S = TypeVar("S", bound=Settings)

_UNKNOWN = "extra_forbidden"
"""What pydantic calls an unknown name."""


class Unresolved(str):
    """The text of a ``${...}`` that could not be resolved: an error only where it is used, see `refuse_unresolved`."""

    reason = ""


def read_yaml(path: Path, *, partly: bool = False) -> dict[str, Any]:
    """A YAML or JSON file with its ``${...}`` interpolations resolved.

    Args:
        path: the file.
        partly: leave what cannot be resolved as `Unresolved`, instead of refusing the file.

    Raises:
        ConfigError: there is no such file, or it cannot be read.
    """
    try:
        loaded = OmegaConf.load(path)
        if not isinstance(loaded, DictConfig):
            raise ConfigError(f"{path}: expected a mapping of settings at the top level")
        return _partly_resolved(loaded) if partly else _resolved(loaded)
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: no such settings file") from error
    except (YAMLError, OmegaConfBaseException, UnicodeDecodeError, OSError) as error:
        raise ConfigError(f"{path}: not a readable settings file ({_first_line(error)})") from error


def presets() -> list[str]:
    """Names of the presets in the package."""
    files = resources.files("echosyn.presets").iterdir()
    return sorted(f.name.removesuffix(".yaml") for f in files if f.name.endswith(".yaml"))


def read_preset(name: str) -> dict[str, Any]:
    """A preset of the package, merged over the one that it ``extends``; an unknown one is a `ConfigError`."""
    if name not in presets():
        raise ConfigError(f"preset {name!r} is unknown{near_miss(name, presets())}")
    with resources.as_file(resources.files("echosyn.presets") / f"{name}.yaml") as path:
        content = read_yaml(path)
    base = content.pop("extends", None)
    return content if base is None else merged(read_preset(base), content)


def merged(*layers: Mapping[str, Any], overrides: Sequence[str] = ()) -> dict[str, Any]:
    """Later layers win, mappings merge; a network's mapping with another ``_class_name`` replaces the earlier one.

    Args:
        *layers: mappings, the weakest first.
        overrides: ``a.b=c`` with YAML values.
    """
    result: dict[str, Any] = {}
    for layer in layers:
        result = _merge(result, layer)
    for override in overrides:
        if "=" not in override:
            raise ConfigError(f"--set {override}: expected NAME=VALUE, such as loop.steps=200")
        try:
            result = _merge(result, _resolved(OmegaConf.from_dotlist([override])))
        except (YAMLError, OmegaConfBaseException) as error:
            raise ConfigError(f"--set {override}: {_first_line(error)}") from error
    return result


def build(kind: type[S], values: Mapping[str, Any], where: str = "settings") -> S:
    """Validate ``values`` as ``kind``; all problems at once in one `ConfigError`."""
    try:
        return kind.model_validate(dict(values))
    except ValidationError as error:
        lines = [_problem(kind, p["loc"], p["type"], p["msg"], p.get("input")) for p in error.errors()]
        count = "" if len(lines) == 1 else f"{len(lines)} problems: "
        raise ConfigError(f"{where}: {count}" + "; ".join(lines)) from error


def refuse_unresolved(values: Any, where: str, path: str = "") -> None:
    """Raise `ConfigError` for the first `Unresolved` in a tree of settings."""
    if isinstance(values, Unresolved):
        raise ConfigError(f"{where}: {path} = {values} cannot be resolved ({values.reason}); write the value itself")
    inner = values.items() if isinstance(values, Mapping) else enumerate(values) if isinstance(values, list) else ()
    for name, value in inner:
        refuse_unresolved(value, where, f"{path}.{name}" if path else str(name))


def near_miss(name: str, known: Sequence[str], within: str = "") -> str:
    """``; did you mean 'x'?``, with what stands before all of these names, or the list of what is known."""
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return f"; did you mean {within + close[0]!r}?" if close else f"; expected one of {', '.join(sorted(known))}"


def _problem(kind: type[BaseModel], loc: tuple[int | str, ...], error: str, message: str, value: object) -> str:
    name = ".".join(str(part) for part in loc)
    if error != _UNKNOWN:
        return f"{name} = {value!r}: {message[0].lower()}{message[1:]}"
    owner = kind
    for part in loc[:-1]:
        owner = _nested(owner, str(part))
    within = "".join(f"{part}." for part in loc[:-1])
    return f"unknown setting {name!r}{near_miss(str(loc[-1]), list(owner.model_fields), within)}"


def _nested(owner: type[BaseModel], field: str) -> type[BaseModel]:
    annotation = owner.model_fields[field].annotation if field in owner.model_fields else None
    for candidate in (annotation, *get_args(annotation)):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate
    return owner


def refuse_unknown(kind: type[S], values: Mapping[str, Any], where: str) -> None:
    """Raise `ConfigError` for names that ``kind`` does not know; whether the values are right is for `build` to say."""
    try:
        kind.model_validate(dict(values))
    except ValidationError as error:
        unknown = [_problem(kind, p["loc"], p["type"], "", None) for p in error.errors() if p["type"] == _UNKNOWN]
        if unknown:
            raise ConfigError(f"{where}: " + "; ".join(unknown)) from error


def _merge(base: Mapping[str, Any], layer: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(base)
    for name, value in layer.items():
        old = result.get(name)
        if isinstance(old, Mapping) and isinstance(value, Mapping) and not _other_class(old, value):
            result[name] = _merge(old, value)
        else:
            result[name] = dict(value) if isinstance(value, Mapping) else value
    return result


def _other_class(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    return "_class_name" in new and old.get("_class_name") != new["_class_name"]


def _resolved(config: DictConfig) -> dict[str, Any]:
    container = OmegaConf.to_container(config, resolve=True)
    assert isinstance(container, dict)
    return {str(name): value for name, value in container.items()}


def _partly_resolved(node: Any) -> Any:
    """The plain form of a mapping or list, with `Unresolved` in the places that cannot be resolved."""
    if OmegaConf.is_dict(node):
        return {str(name): _place(node, name) for name in node}
    return [_place(node, i) for i in range(len(node))]


def _place(node: Any, name: Any) -> Any:
    try:
        value = node[name]
    except OmegaConfBaseException as error:
        left = Unresolved(OmegaConf.to_container(node, resolve=False)[name])  # type: ignore[index]
        left.reason = _first_line(error)
        return left
    return _partly_resolved(value) if OmegaConf.is_config(value) else value


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
