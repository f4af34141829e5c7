"""The server: gradio's queue and API around `Calls`, the page's own files, and what was made."""

import asyncio
import hmac
import logging
import os
import socket
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from echosyn.errors import ConfigError, EchosynError
from echosyn.extras import require
from echosyn.pipeline.demo.limits import Limits

if TYPE_CHECKING:
    from echosyn.apps.web.calls import Calls
    from echosyn.pipeline.demo.session import Studio

HOST = "127.0.0.1"
MAX_THREADS = 8
LOGIN_WAIT_S = 1.0
"""A wrong password costs that long, one after the other."""
TIDY_EVERY_S = 60.0
JOIN_S = 30.0
_QUIET = {
    "GRADIO_ANALYTICS_ENABLED": "False",
    "GRADIO_SSR_MODE": "False",
    "GRADIO_SERVER_MODE_ENABLED": "1",
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
}


@dataclass(frozen=True)
class Options:
    """How a server is started."""

    models: Path | None = None
    reference: Path | None = None
    folders: Sequence[Path] = ()
    port: int = 7860
    login: Mapping[str, str] = field(default_factory=dict)
    device: str = "auto"
    max_upload: int = 200_000_000


class Running:
    """A server: `start` it, `stop` it, or use it in a ``with``."""

    def __init__(self, options: Options) -> None:
        from echosyn.pipeline.demo.browse import Collection
        from echosyn.pipeline.demo.temporary_files import Shelf

        self.options = options
        self.collection = Collection(options.folders)
        self.limits = Limits(upload_bytes=options.max_upload)
        self.shelf = Shelf(self.limits.disk_bytes, self.limits.age_s)
        self.calls: Calls | None = None
        self.failure = ""
        self.url = ""
        self._ready, self._stopped = threading.Event(), threading.Event()
        self._loader = threading.Thread(target=self._load, name="load models", daemon=True)
        self._blocks: Any = None

    def __enter__(self) -> "Running":
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> "Running":
        """Open the port, and load the models in the background.

        Raises:
            EchosynError: the folder of models is missing or lacks one, or the port is in use.
        """
        os.environ.update(_QUIET | {"GRADIO_TEMP_DIR": str(self.shelf.root / "gradio")})
        from echosyn.apps.web.routes import build

        try:
            if self.options.models is not None:
                self._studio()  # a wrong folder is refused before anything is served
            port = _port(self.options.port)
            app, self._blocks = build(require("gradio", extra="demo"), self)
            auth = _asking(self.options.login) if self.options.login else None
            keep: dict[str, Any] = {"prevent_thread_lock": True, "quiet": True, "share": False, "inbrowser": False}
            keep |= {"ssr_mode": False, "allowed_paths": [], "run_history": False, "max_threads": MAX_THREADS}
            self._blocks.launch(_app=app, server_name=HOST, server_port=port, auth=auth, **keep)
        except BaseException:
            self.shelf.remove()
            raise
        self.url = f"http://{HOST}:{port}"
        self._loader.start()
        return self

    def wait(self, seconds: float | None = None) -> "Calls":
        """The calls, when the models are loaded.

        Raises:
            EchosynError: they cannot be.
        """
        if not self._ready.wait(seconds):
            raise EchosynError("the models are still being loaded; try again in a moment")
        if self.calls is None:
            raise EchosynError(self.failure)
        return self.calls

    @property
    def state(self) -> str:
        """``loading``, ``ready`` or ``failed``."""
        return "loading" if not self._ready.is_set() else "failed" if self.calls is None else "ready"

    def stop(self) -> None:
        """Close the port and remove the temporary folder."""
        self._stopped.set()
        if self._blocks is not None:
            self._blocks.close(verbose=False)
        if self._loader.is_alive():
            self._loader.join(JOIN_S)  # torch may not be left computing when the interpreter ends
        self.shelf.remove()

    def _studio(self) -> "Studio":
        from echosyn import weights
        from echosyn.pipeline.demo.session import Studio

        models = self.options.models or weights.shipped()
        return Studio(models, self.options.reference, self.options.device, self.limits)

    def _load(self) -> None:
        try:
            from echosyn.apps.web.calls import Calls

            studio = self._studio()
            studio.load()
            self.calls = Calls(studio, self.shelf, self.collection, self.options.models)
            self._ready.set()
            for variant in studio.variants:
                if not self._stopped.is_set():
                    studio.warm(variant)
            while not self._stopped.wait(TIDY_EVERY_S):
                self.shelf.tidy()
        except EchosynError as error:
            self.calls, self.failure = None, str(error)
        except Exception as error:
            self.calls, self.failure = None, f"the models cannot be loaded ({error})"
            logging.getLogger(__name__).exception("the models cannot be loaded")
        finally:
            self._ready.set()


def read_login(path: Path) -> dict[str, str]:
    """Names and passwords from a file of lines ``NAME:PASSWORD``.

    Raises:
        ConfigError: it cannot be read, or others may read it.
    """
    try:
        lines = [line.strip() for line in path.read_text().splitlines() if line.strip()]
        open_to_others = os.name == "posix" and path.stat().st_mode & 0o077
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"--login {path}: cannot be read; expected a text file of lines NAME:PASSWORD") from error
    if open_to_others:
        raise ConfigError(f"--login {path}: readable by others; restrict it: chmod 600 {path}")
    found = {name: password for name, _, password in (line.partition(":") for line in lines)}
    if not found or not all(name and len(password) >= 8 for name, password in found.items()):
        raise ConfigError(f"--login {path}: expected lines NAME:PASSWORD, passwords of 8 characters or more")
    return found


def _asking(login: Mapping[str, str]) -> Callable[[str, str], Awaitable[bool]]:
    wrong = asyncio.Lock()

    async def right(name: str, password: str) -> bool:
        expected = login.get(name, "")
        same = hmac.compare_digest(password.encode(), expected.encode()) and bool(expected)
        if not same:
            async with wrong:
                await asyncio.sleep(LOGIN_WAIT_S)
        return same

    return right


def _port(wanted: int) -> int:
    """The port, or a free one for 0.

    Raises:
        ConfigError: it is in use.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, wanted))
        except (OSError, OverflowError) as error:
            raise ConfigError(f"--port {wanted}: not free ({error}); give another, or 0 for any") from error
        return int(probe.getsockname()[1])
