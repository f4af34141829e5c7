"""The verb of the page, and what repeats its videos."""

import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from echosyn.apps.cli.commands import app
from echosyn.apps.cli.console import Console, show
from echosyn.errors import ConfigError
from echosyn.settings.running import PageDevice
from echosyn.settings.whole import PageSettings

if TYPE_CHECKING:
    from echosyn.apps.web.server import Running

__all__ = ["app"]


@app.command()
def demo(asked: PageSettings, run: PageDevice) -> None:
    """Open the demo page in a browser.

    Sample a still, see its screening result, animate it. Needs the extra `demo`.
    """
    from echosyn.apps.web.server import Options, Running, read_login

    if not 1 <= asked.max_upload <= 4000:
        raise ConfigError(f"--max-upload {asked.max_upload}: expected 1 to 4000 MB")
    options = Options(
        asked.models,
        asked.reference,
        asked.folder,
        0 if asked.check else asked.port,
        read_login(asked.login) if asked.login else {},
        run.device,
        asked.max_upload * 10**6,
    )
    with Running(options) as running:
        if asked.check:
            _visit(running, run.json)
            return
        _serve(running)


def make_again(file: Path, out: Path, models: Path, device: str, console: Console, json: bool) -> None:
    """Replay a video of the page."""
    from echosyn.pipeline.demo.replay import replay

    result = replay(file, out, models=models, device=device, progress=console)
    changed = result.pop("changed")
    if changed:
        typer.echo(f"warning: made with other versions ({changed}): the bytes may differ", err=True)
    show(result, json)


def _serve(running: "Running") -> None:
    """Say where the page is, and wait for the end."""
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    typer.echo(f"{running.url}  (this computer only; Ctrl-C to stop)")
    running.wait()
    try:
        ended.wait()
    except KeyboardInterrupt:
        typer.echo("stopped", err=True)


def _visit(running: "Running", json: bool) -> None:
    """One call of each kind, over the network as a visitor would make them."""
    from gradio_client import Client

    calls = running.wait()
    names = list(running.options.login.items())
    client = Client(running.url, auth=names[0] if names else None, verbose=False, analytics_enabled=False)
    view = str(calls.studio.variants[0] or "")
    seed, found = 0, {}
    for seed in range(20):
        found = client.predict(view=view, seed=seed, api_name="/invent")
        if found["verdict"]["status"] != "rejected":
            break
    made: dict[str, Any] = client.predict(view=view, seed=seed, ef=60.0, frames=64, api_name="/beat")
    result = {"page": running.url, "verdict": found["verdict"]["status"], "frames": made["frames"]}
    show(result | {"requested_ef": made["requested_ef"], "measured_ef": made["measured_ef"]}, json)
