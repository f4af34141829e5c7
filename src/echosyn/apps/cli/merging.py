"""The verb that joins what `--shard` made."""

from pathlib import Path
from typing import Annotated

import typer

from echosyn.apps.cli.arguments import Out
from echosyn.apps.cli.commands import app
from echosyn.apps.cli.console import Console, show_import
from echosyn.settings.running import ShownSettings

__all__ = ["app"]


@app.command()
def merge(
    parts: Annotated[list[Path], typer.Argument(help="Folders of all parts, in any order.", show_default=False)],
    out: Out,
    shown: ShownSettings,
) -> None:
    """Merge the parts of a sharded job.

    The result is what a single job would have made.
    """
    from echosyn.pipeline.merge import merge as merge_parts

    show_import(merge_parts(parts, out, progress=Console(shown.quiet)), shown.json)
