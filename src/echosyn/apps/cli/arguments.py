"""The arguments that several verbs take, in their order on the command line."""

from pathlib import Path
from typing import Annotated

import typer

Out = Annotated[Path, typer.Argument(help="New folder.", show_default=False)]
Dataset = Annotated[Path, typer.Argument(help="Dataset folder.", show_default=False)]
Stills = Annotated[Path, typer.Argument(help="Folder of stills.", show_default=False)]
Synthetic = Annotated[Path, typer.Argument(help="Synthetic dataset folder.", show_default=False)]
Real = Annotated[Path, typer.Argument(help="Real dataset folder, with TRAIN and held-out videos.", show_default=False)]
Models = Annotated[Path, typer.Argument(help="Folder of models.", show_default=False)]
