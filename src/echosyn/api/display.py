"""How results look in a notebook: tables and moving pictures that need no file and no network."""

import base64
import html
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from echosyn.data import video
from echosyn.data.frames import Frames

LIMIT_FRAMES = 64
"""Frames of a moving picture, about two heartbeats."""


def text_table(title: str, rows: Mapping[str, object]) -> str:
    """A title and aligned ``name  value`` lines."""
    width = max((len(name) for name in rows), default=0)
    return "\n".join([title, *(f"  {name:<{width}}  {_said(value)}" for name, value in rows.items())])


def html_table(title: str, rows: Mapping[str, object]) -> str:
    """The same as an HTML table."""
    cells = "".join(
        f"<tr><th style='text-align:left'>{html.escape(name)}</th><td>{html.escape(_said(value))}</td></tr>"
        for name, value in rows.items()
    )
    return f"<table><caption>{html.escape(title)}</caption>{cells}</table>"


def moving(frames: Frames, fps: float, alt: str) -> str:
    """An ``<img>`` with a GIF of uint8 ``(T, H, W)`` inside it, at most `LIMIT_FRAMES` frames."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "video.gif"
        video.write_gif(path, np.ascontiguousarray(frames[:LIMIT_FRAMES]), fps)
        data = base64.b64encode(path.read_bytes()).decode()
    return f"<img alt='{html.escape(alt, quote=True)}' src='data:image/gif;base64,{data}'>"


def escaped(text: str) -> str:
    """Text for HTML."""
    return html.escape(text)


def side_by_side(videos: Sequence[Frames]) -> Frames:
    """Videos ``(T, H, W)`` of one height in a row, cut to the shortest."""
    length = min(len(frames) for frames in videos)
    return np.concatenate([frames[:length] for frames in videos], axis=2)


def _said(value: object) -> str:
    if value is None:
        return "unknown"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
