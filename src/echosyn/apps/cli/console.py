"""What a command shows: one result on stdout, progress on stderr, a moving line only on a terminal."""

import json
import sys
import time
from collections.abc import Mapping
from typing import Any

LINE_EVERY_S = 20.0
"""Off a terminal, a line of progress at most this often."""


class Console:
    """Progress of one command."""

    def __init__(self, quiet: bool = False) -> None:
        self.quiet = quiet
        self.moving = sys.stderr.isatty()
        self._what, self._started, self._shown = "", 0.0, 0.0

    def __call__(self, what: str, done: int, total: int) -> None:
        """Show that ``done`` of ``total`` of ``what`` are ready."""
        if self.quiet:
            return
        now = time.monotonic()
        if what != self._what:
            self._what, self._started, self._shown = what, now, 0.0
        finished = done == total
        if not finished and now - self._shown < (0.1 if self.moving else LINE_EVERY_S):
            return
        self._shown = now
        left = (now - self._started) / max(done, 1) * (total - done)
        text = f"{what}: {done}/{total}" + ("" if finished or done < 2 else f", {_duration(left)} left")
        if self.moving:
            sys.stderr.write(f"\r\x1b[2K{text}" + ("\n" if finished else ""))
        else:
            sys.stderr.write(f"{text}\n")
        sys.stderr.flush()
        if finished:
            self._what = ""


def show(result: Mapping[str, Any], as_json: bool) -> None:
    """Print the one result of a command: JSON, or a line for each entry."""
    if as_json:
        sys.stdout.write(json.dumps(result, sort_keys=True) + "\n")
        return
    rows = {name: _text(value) for name, value in result.items() if not isinstance(value, Mapping | list)}
    width = max((len(name) for name in rows), default=0)
    for name, value in rows.items():
        sys.stdout.write(f"{name.ljust(width)}  {value}\n")


def show_import(result: Mapping[str, Any], as_json: bool) -> None:
    """Print what an import has found: its numbers, what was assumed or corrected, and the table of what was left out."""
    if as_json:
        show(result, as_json)
        return
    counted = {name: _counts(result[name]) for name in ("splits", "folds") if result.get(name)}
    show({**result, **counted}, as_json=False)
    for text in result.get("notes", []):
        sys.stdout.write(f"note  {text}\n")
    rows = [(str(row["count"]), row["what"], row["why"], _examples(row)) for row in result.get("left_out", [])]
    if not rows:
        return
    rows.insert(0, ("left out", "what", "why", ""))
    widths = [max(len(row[i]) for row in rows) for i in range(2)]
    for number, what, why, examples in rows:
        sys.stdout.write(f"{number.rjust(widths[0])}  {what.ljust(widths[1])}  {why}{examples}\n")


def _counts(found: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {count}" for name, count in found.items())


def _examples(row: Mapping[str, Any]) -> str:
    more = ", ..." if row["count"] > len(row["examples"]) else ""
    return f" ({', '.join(row['examples'])}{more})" if row["examples"] else ""


def _text(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
