"""The verb that joins what `--shard` made."""

from pathlib import Path
from typing import Annotated

import typer

from echosyn.apps.cli.commands import Json, Out, Quiet, app
from echosyn.apps.cli.console import Console, show_import

__all__ = ["app"]


@app.command()
def merge(
    parts: Annotated[list[Path], typer.Argument(help="Folders of all parts, in any order.", show_default=False)],
    out: Out,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Check the parts that --shard made and join them to what one job would have made."""
    from echosyn.pipeline.merging import merge as merge_parts

    result = merge_parts(parts, out, progress=Console(quiet))
    show_import(result, json)
