"""The ways in: the only importers of typer, gradio and ray."""
