"""Verbs that judge: parts of evaluate, and compare."""

from pathlib import Path
from typing import Annotated, Any

import typer

from echosyn.apps.cli.commands import app
from echosyn.apps.cli.console import show
from echosyn.settings.judging import CompareSettings
from echosyn.settings.running import OutputSettings


@app.command()
def compare(
    a: Annotated[Path, typer.Argument(help="Report folder or report.json of evaluate.", show_default=False)],
    b: Annotated[Path, typer.Argument(help="Likewise.", show_default=False)],
    asked: CompareSettings,
    output: OutputSettings,
) -> None:
    """Compare two evaluation reports, number by number.

    Reports with different protocols are refused.
    """
    from echosyn.pipeline.evaluate import compare

    found = compare.compare(a, b, anyway=asked.anyway)
    for warning in found.warnings:
        typer.echo(f"warning: {warning}", err=True)
    if output.json:
        rows: list[dict[str, Any]] = [{"name": r.name, "a": r.a, "b": r.b, "verdict": r.verdict} for r in found.rows]
        show({"warnings": found.warnings, "rows": rows}, as_json=True)
    else:
        typer.echo(compare.as_text(found))
