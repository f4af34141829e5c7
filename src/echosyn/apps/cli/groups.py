"""The order of the verbs in ``--help``: that of the path from recordings to a release, in named groups."""

from collections.abc import Mapping, Sequence
from typing import Any

import typer
from typer.core import TyperGroup

GROUPS: Mapping[str, Sequence[str]] = {
    "Start here": ("quickstart", "run", "demo", "doctor"),
    "Data": ("phantom", "import", "review", "check", "export"),
    "Models": ("train", "encode", "texture", "finetune", "weights"),
    "Generation": ("sample", "filter", "calibrate", "animate", "generate", "decode", "reproduce", "merge"),
    "Evaluation": ("evaluate", "compare", "predict-ef"),
    "Privacy and release": ("audit", "withdraw", "publish", "verify"),
    "For EchoNet-Synthetic's own tools": ("frames", "reference", "update-split"),
}


class Grouped(TyperGroup):
    """A program that lists its verbs by `GROUPS`."""

    def list_commands(self, ctx: Any) -> list[str]:
        """In the order of the groups."""
        return [name for names in GROUPS.values() for name in names]

    def invoke(self, ctx: Any) -> Any:
        """Run the verb; what is wrong with an option is said without the prefix of the library that found it."""
        try:
            return super().invoke(ctx)
        except typer.BadParameter as error:
            error.message = error.message.removeprefix("Value error, ")
            raise

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """A section for each group."""
        width = max(len(name) for name in self.list_commands(ctx))
        for title, names in GROUPS.items():
            found = [(name, self.get_command(ctx, name)) for name in names]
            rows = [
                (name.ljust(width), command.get_short_help_str(formatter.width - 6 - width))
                for name, command in found
                if command
            ]
            with formatter.section(title):
                formatter.write_dl(rows)
