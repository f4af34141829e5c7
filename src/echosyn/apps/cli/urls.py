"""URLs where folders are expected: a verb works on local copies, and what it prints names the URLs."""

import io
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, TypeVar

import typer
from typer.core import TyperCommand

from echosyn.apps.cli.early import refuse
from echosyn.apps.cli.executors import ray_said
from echosyn.apps.cli.options import options_of
from echosyn.apps.cli.stopping import cure_told
from echosyn.errors import ConfigError, EchosynError

if TYPE_CHECKING:
    from echosyn.storage import Finished

PLACE = re.compile(r"(?P<before>(?:-{0,2}[\w-]+=)?)(?P<url>(?!https?:)[a-z][a-z0-9+.-]+://.+?)(?P<after>(?:=[\d.]+)?)")
"""A URL as a word, or in ``--option=URL``, ``NAME=URL``, ``URL=WEIGHT``; addresses of the web are somebody else's."""

OUT = "out"
"""The parameter that every verb calls its new folder."""

STAYS_LOCAL: Mapping[tuple[str, str], str] = {
    ("train", OUT): "a run with its checkpoints stays local: train into a local folder, then copy OUT/model",
    ("quickstart", OUT): "is for interactive use: give a local folder",
    ("frames", OUT): "its lists name files of this computer: give a local folder, then copy",
    ("review", "dataset"): "is changed in place: review a local copy, then copy it back",
    ("fetch", "to"): "is filled in place: give a local folder, then copy it",
    ("update-split", "csv"): "is a file, perhaps rewritten where it lies: give a local copy",
    ("update-split", "output"): "is a file: write a local one, then copy",
    ("import", "private"): "holds the secret key: give a local folder",
    ("demo", "models"): "the page needs local folders: copy it first",
    ("demo", "reference"): "the page needs local folders: copy it first",
    ("demo", "folder"): "the page needs local folders: copy it first",
    ("demo", "login"): "holds passwords: give a local file",
}
"""Arguments that cannot be URLs, and why."""

_Function = TypeVar("_Function", bound=Callable[..., Any])
_KEY = "echosyn.places"
_NO_PART_OF_A_CALL = frozenset({"quiet"})


class Verb(TyperCommand):
    """A command that takes ``s3://bucket/folder`` wherever it takes a folder."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the local copy's path in the place of every URL: a path would lose one of its slashes."""
        args = ray_said(args)
        if any("://" in word for word in args):
            from echosyn.storage import cached

            places: dict[str, str] = {}
            for i, word in enumerate(args):
                if found := PLACE.fullmatch(word):
                    url = found["url"].rstrip("/")
                    places[str(cached(url))] = url
                    args[i] = f"{found['before']}{cached(url)}{found['after']}"
            ctx.meta[_KEY] = places
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Bring the inputs, refuse what can be refused at once, run, send the output; when stopped, say how to go on."""
        places: dict[str, str] = ctx.meta.get(_KEY, {})
        name = str(self.name)

        def verb() -> Any:
            refuse(name, ctx.params)
            return super(Verb, self).invoke(ctx)

        with cure_told(name, ctx.params):
            if not places:
                return verb()
            with renamed(places):
                return _run(verb, name, ctx.params, places)


class Program(typer.Typer):
    """A typer program whose commands are `Verb`s with the options of the settings that they take."""

    def command(self, name: str | None = None, **options: Any) -> Callable[[_Function], _Function]:
        """Register a verb."""
        register = super().command(name, **({"cls": Verb} | options))

        def registered(function: _Function) -> _Function:
            register(options_of(function))
            return function

        return registered


def _run(verb: Callable[[], Any], name: str, values: Mapping[str, Any], places: Mapping[str, str]) -> Any:
    from echosyn.apps.cli.console import Console
    from echosyn.storage import local, output

    _refuse(name, values, places)
    progress = Console(bool(values.get("quiet")))
    inputs = [
        url for path, url in places.items() if any(path in t for n, v in values.items() if n != OUT for t in _texts(v))
    ]
    target = places.get(str(values.get(OUT)))
    if target is None:
        for url in inputs:
            local(url, progress)
        return verb()

    def make(_: Path) -> "Finished":
        for url in inputs:
            local(url, progress)
        return _captured(verb)

    call = {"verb": name, "values": {n: _texts(v) for n, v in values.items() if n not in _NO_PART_OF_A_CALL}}
    with output(target, call, progress) as do:
        finished = do(make)
    sys.stdout.write(finished.stdout)
    if finished.code:
        raise typer.Exit(finished.code)
    return None


def _refuse(name: str, values: Mapping[str, Any], places: Mapping[str, str]) -> None:
    for parameter, value in values.items():
        given = [text for text in _texts(value) if text in places]
        if given and (reason := STAYS_LOCAL.get((name, parameter))):
            raise ConfigError(f"{name} {places[given[0]]}: {reason}")
    is_dicom = name == "import" and values.get("source") in ("dicom", "dicomweb")
    if is_dicom and values.get("private") is None and str(values.get(OUT)) in places:
        raise ConfigError(
            f"import to {places[str(values[OUT])]}: no local folder for the secret key; give --private FOLDER"
        )


def _captured(verb: Callable[[], Any]) -> "Finished":
    """Run a verb and keep its result until its folder has been sent."""
    from echosyn.storage import Finished

    said, code = io.StringIO(), 0
    with redirect_stdout(said):
        try:
            verb()
        except typer.Exit as end:
            code = end.exit_code
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
    return Finished(code, said.getvalue())


def _texts(value: Any) -> list[str]:
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [str(each) for each in value]
    return [] if value is None else [str(value)]


class _Renaming(io.TextIOBase):
    """A stream on which local copies are called by their URLs."""

    def __init__(self, stream: TextIO, places: Mapping[str, str]) -> None:
        self.stream, self.places = stream, places

    def write(self, text: str) -> int:
        self.stream.write(_with_urls(text, self.places))
        return len(text)

    def flush(self) -> None:
        self.stream.flush()

    def isatty(self) -> bool:
        return self.stream.isatty()

    def fileno(self) -> int:
        return self.stream.fileno()


@contextmanager
def renamed(places: Mapping[str, str]) -> Iterator[None]:
    """Call local copies by their URLs in everything that is printed or raised."""
    with redirect_stdout(_Renaming(sys.stdout, places)), redirect_stderr(_Renaming(sys.stderr, places)):
        try:
            yield
        except EchosynError as error:
            error.args = (_with_urls(str(error), places),)
            raise


def _with_urls(text: str, places: Mapping[str, str]) -> str:
    for path in sorted(places, key=len, reverse=True):
        text = text.replace(path, places[path])
    return text
