"""Write the pages that are made from the program, its tests and its benchmarks; ``--check`` only says if they are stale."""

import inspect
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

import comparison
import typer
from pydantic.fields import FieldInfo

from echosyn.apps.cli.verbs import app
from echosyn.config import Settings, presets
from echosyn.training.catalog import STAGES

DOCS = Path(__file__).parent
WIDTH = 100

CLI = """\
# Command line

<!-- Made by docs/generate.py from the program's own help: do not edit. -->
"""

CONFIG = """\
# Settings

<!-- Made by docs/generate.py from the settings classes: do not edit. -->

Settings come in layers, the later ones win: the defaults below, `--preset` ({presets}), `--config FILE` (YAML or JSON, one
section a stage, or one of EchoNet-Synthetic's files as it is), `--set NAME=VALUE`. `train` and `evaluate` name a setting of
their stage, such as `loop.steps=500`; `run` and `quickstart` begin with the stage: `vae.loop.steps=500`. An unknown name
is an error that suggests the near miss.
"""


FORMATS = """\
# What is read, what is refused

<!-- Made by docs/generate.py from tests/zoo: do not edit. -->

Every row is a file or folder that the tests make and import. "Read" says how near the result is to what was written; "refused
with" quotes the message. A video that is refused is named, with its reason, and so is everything else that an import leaves out
([data format](data-format.md)). Damaged files (cut off, flipped bits) of all rows are tested as well: each is read or named,
never half written.
"""


def main() -> None:
    """Write the pages that differ, or with ``--check`` fail if there are any."""
    pages = {DOCS / "cli.md": cli(), DOCS / "config.md": config(), DOCS / "formats.md": formats()}
    pages |= {comparison.DOCS_PAGE: comparison.page()}
    stale = [path for path, text in pages.items() if not path.is_file() or path.read_text() != text]
    if "--check" in sys.argv[1:]:
        if stale:
            sys.exit(f"{', '.join(path.name for path in stale)}: not up to date; run docs/generate.py")
        return
    for path in stale:
        path.write_text(pages[path])


def cli() -> str:
    """The help of the program and of every verb."""
    group: Any = typer.main.get_command(app)
    top = group.context_class(group, info_name="echosyn", terminal_width=WIDTH, max_content_width=WIDTH)
    parts = [CLI, _help(group, top)]
    for name, command in group.commands.items():
        context = command.context_class(command, info_name=name, parent=top)
        parts += [f"## echosyn {name}\n", _help(command, context)]
        for inner, below in getattr(command, "commands", {}).items():
            parts += [
                f"### echosyn {name} {inner}\n",
                _help(below, below.context_class(below, info_name=inner, parent=context)),
            ]
    return "\n".join(parts).rstrip() + "\n"


def config() -> str:
    """Every settings class with its fields."""
    used_by: dict[type[Settings], list[str]] = {}
    for stage, (_, kind) in STAGES.items():
        for each in _with_parts(kind):
            used_by.setdefault(each, []).append(stage)
    parts = [CONFIG.format(presets=", ".join(f"`{name}`" for name in presets()))]
    for kind in sorted(used_by, key=lambda kind: -len(used_by[kind])):
        stages = "every stage" if len(used_by[kind]) == len(STAGES) else f"`{'`, `'.join(used_by[kind])}`"
        parts.append(f"## {kind.__name__} ({stages})\n\n{inspect.cleandoc(kind.__doc__ or '')}\n")
        own = {name: field for name, field in kind.model_fields.items() if name in inspect.get_annotations(kind)}
        if own:
            parts.append("| setting | type | default | meaning |\n| --- | --- | --- | --- |")
            parts.append("".join(_row(name, field) for name, field in own.items()))
    return "\n".join(parts).rstrip() + "\n"


def formats() -> str:
    """What imports read and refuse, from the cases that the tests hold them to."""
    sys.path.insert(0, str(DOCS.parent / "tests"))
    from zoo import containers, dicom, layouts

    groups: dict[str, list[Any]] = {}
    for case in [*containers.CASES, *dicom.CASES, *layouts.CASES]:
        groups.setdefault(case.group, []).append(case)
    parts = [FORMATS]
    for group, cases in groups.items():
        rows = [f"| {_cell(c.name)} | {_cell(c.read or '-')} | {_cell(c.refused or '-')} |" for c in cases]
        parts.append(
            "\n".join([f"## {group}\n", "| input | read | refused with |", "| --- | --- | --- |", *rows]) + "\n"
        )
    return "\n".join(parts).rstrip() + "\n"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _help(command: Any, context: Any) -> str:
    return f"```text\n{command.get_help(context).rstrip()}\n```\n"


def _with_parts(kind: type[Settings]) -> Iterator[type[Settings]]:
    """A settings class, those it extends and those of its fields, each once."""
    bases = [c for c in kind.__mro__ if issubclass(c, Settings) and c is not Settings]
    parts = [
        a for f in kind.model_fields.values() for a in (f.annotation, *get_args(f.annotation)) if inspect.isclass(a)
    ]
    yield from dict.fromkeys(bases + [p for p in parts if issubclass(p, Settings)])


def _row(name: str, field: FieldInfo) -> str:
    limits = [text for bound in field.metadata if (text := _limit(bound))]
    cells = [
        f"`{name}`",
        f"`{', '.join([_type(field.annotation), *limits])}`",
        _default(field),
        field.description or "",
    ]
    return "| " + " | ".join(" ".join(cell.split()).replace("|", "\\|") for cell in cells) + " |\n"


def _limit(bound: object) -> str:
    signs = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<"}
    return " ".join(f"{sign} {getattr(bound, name)}" for name, sign in signs.items() if hasattr(bound, name))


def _type(annotation: Any) -> str:
    if get_origin(annotation) is Literal:
        return " | ".join(get_args(annotation))
    if get_origin(annotation) in (Union, types.UnionType):
        return " | ".join(_type(part) for part in get_args(annotation))
    plain = annotation.__name__ if inspect.isclass(annotation) and not get_args(annotation) else str(annotation)
    return "none" if annotation is type(None) else plain.replace("typing.", "")


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    return f"see {type(value).__name__}" if isinstance(value, Settings) else f"`{'none' if value is None else value}`"


if __name__ == "__main__":
    main()
