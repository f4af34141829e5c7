"""What answers where: gradio's queue for the calls, plain routes for files."""

import logging
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from echosyn import __version__
from echosyn.apps.web.guard import REPORT_POLICY, UPLOAD, Guard
from echosyn.errors import EchosynError
from echosyn.extras import require
from echosyn.pipeline.demo.temporary_files import KINDS

if TYPE_CHECKING:
    from echosyn.apps.web.server import Running

PAGE = Path(__file__).parent / "page"
TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml", ".html": "text/html; charset=utf-8"}
MAX_UPLOADS = 4
"""Of the largest size that may lie there unread."""


def build(gradio: Any, running: "Running") -> tuple[Any, Any]:
    """The application, and the blocks that gradio launches it with: they bring queue, login and API."""
    app = gradio.Server(title="echosyn", docs_url=None, redoc_url=None, openapi_url=None)
    _add_files(app, running)
    _add_media(app, running)
    _add_upload(app, running)
    guarded: dict[str, Any] = {"max_upload": running.options.max_upload}
    if running.options.login:
        guarded["allowed"] = lambda cookies: _user(app, cookies) is not None
    app.add_middleware(Guard, **guarded)
    return app, _calls(gradio, running)


def _user(app: Any, cookies: Mapping[str, str]) -> str | None:
    """Who is logged in."""
    token = cookies.get(f"access-token-{app.cookie_id}") or cookies.get(f"access-token-unsecure-{app.cookie_id}")
    found: str | None = app.tokens.get(token)
    return found


def _add_files(app: Any, running: "Running") -> None:
    responses = require("starlette.responses", extra="demo")
    files = {path.name: path.read_bytes() for path in PAGE.iterdir()}

    def shown(name: str) -> Any:
        kind = TYPES.get(Path(name).suffix)
        if name not in files or kind is None:
            return responses.JSONResponse({"detail": "there is nothing here"}, 404)
        return responses.Response(files[name], media_type=kind, headers={"cache-control": "no-cache"})

    async def home(request: Any) -> Any:
        known = not running.options.login or _user(app, request.cookies) is not None
        return shown("index.html" if known else "login.html")

    async def file(request: Any) -> Any:
        return shown(request.path_params["name"])

    async def icon(request: Any) -> Any:
        return shown("logo.svg")

    async def about(request: Any) -> Any:
        return responses.JSONResponse(_about(running))

    for path, endpoint in {"/": home, "/page/{name}": file, "/favicon.ico": icon, "/about": about}.items():
        app.add_route(path, endpoint, methods=["GET"])


def _about(running: "Running") -> dict[str, Any]:
    """What the page must know before its first call."""
    limits = running.limits
    bounds = {name: getattr(limits, name) for name in ("frames", "steps", "ef", "seed", "upload_bytes")}
    known: dict[str, Any] = {
        "version": __version__,
        "state": running.state,
        "failure": running.failure,
        "shipped": running.options.models is None,
        "models": "bundled phantom models" if running.options.models is None else running.options.models.name,
        "reference": running.options.reference is not None,
        "login": bool(running.options.login),
        "limits": bounds,
        "folders": running.collection.described(),
    }
    if running.calls is not None:
        studio = running.calls.studio
        known["views"] = [{"id": str(v or ""), "view": studio.view(v)} for v in studio.variants]
        known["solvers"] = studio.solvers
    return known


def _add_media(app: Any, running: "Running") -> None:
    responses = require("starlette.responses", extra="demo")
    concurrency = require("starlette.concurrency", extra="demo")
    nothing = {"detail": "there is nothing here (any more)"}
    shown: dict[tuple[int, str], str] = {}
    one_at_a_time = threading.Lock()

    async def made(request: Any) -> Any:
        name, kind = request.path_params["name"], request.path_params["kind"]
        path = running.shelf.get(name, kind)
        if path is None:
            return responses.JSONResponse(nothing, 404)
        headers = {"cache-control": "private, max-age=3600"}
        if request.query_params.get("save"):
            headers["content-disposition"] = f'attachment; filename="heart.{kind}"'
        return responses.FileResponse(path, media_type=KINDS[kind], headers=headers)

    def of_dataset(key: int, name: str) -> Path:
        with one_at_a_time:
            known = shown.get((key, name))
            path = running.shelf.get(known, "mp4") if known else None
            if path is None:
                item = running.shelf.put_mp4(*running.collection.video(key, name))
                shown[key, name] = item.name
                path = item.file("mp4")
            return path

    async def video(request: Any) -> Any:
        try:
            key, name = int(request.path_params["key"]), request.query_params.get("name", "")
            path = await concurrency.run_in_threadpool(of_dataset, key, name)
        except EchosynError as error:
            return responses.JSONResponse({"detail": str(error)}, 404)
        return responses.FileResponse(path, media_type=KINDS["mp4"])

    async def report(request: Any) -> Any:
        try:
            path = running.collection.report(int(request.path_params["key"]), int(request.path_params["number"]))
        except EchosynError as error:
            return responses.JSONResponse({"detail": str(error)}, 404)
        policy = {"content-security-policy": REPORT_POLICY}
        return responses.FileResponse(path, media_type=TYPES[".html"], headers=policy)

    paths = {"/made/{name}.{kind}": made, "/video/{key:int}": video, "/report/{key:int}/{number:int}": report}
    for path, endpoint in paths.items():
        app.add_route(path, endpoint, methods=["GET", "HEAD"])


def _add_upload(app: Any, running: "Running") -> None:
    responses = require("starlette.responses", extra="demo")
    requests = require("starlette.requests", extra="demo")

    async def upload(request: Any) -> Any:
        """The body is the file, whatever it is called."""
        running.shelf.tidy()
        most = running.limits.upload_bytes
        waiting = sum(path.lstat().st_size for path in running.shelf.uploads.iterdir())
        if waiting + int(request.headers["content-length"]) > MAX_UPLOADS * most:
            return responses.JSONResponse({"detail": "too many uploads at once; try again in a minute"}, 503)
        name, path = running.shelf.upload()
        try:
            with path.open("xb") as file:
                async for chunk in request.stream():
                    if file.tell() + len(chunk) > most:
                        raise EchosynError(f"the file has more than {most / 1e6:.0f} MB")
                    file.write(chunk)
        except (EchosynError, requests.ClientDisconnect) as error:
            path.unlink(missing_ok=True)
            return responses.JSONResponse({"detail": str(error) or "the upload broke off"}, 413)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return responses.JSONResponse({"upload": name})

    async def stop(request: Any) -> Any:
        if running.calls is not None:
            running.calls.jobs.stop(request.path_params["job"])
        return responses.JSONResponse({"stopped": True})

    app.add_route(UPLOAD, upload, methods=["POST"])
    app.add_route("/stop/{job}", stop, methods=["POST"])


def _calls(gradio: Any, running: "Running") -> Any:
    """Register the calls; gradio reads names, types and defaults off these functions."""
    from echosyn.apps.web.endpoints import endpoints

    def said(call: Callable[[], Any]) -> Any:
        """Turn what goes wrong into one sentence without a path of ours; a bug is logged and says so."""
        try:
            return call()
        except EchosynError as error:
            raise gradio.Error(str(error).replace(str(running.shelf.root), ""), print_exception=False) from None
        except MemoryError:
            raise gradio.Error("this does not fit into memory; ask for less", print_exception=False) from None
        except Exception:
            logging.getLogger(__name__).exception("a call failed")
            raise gradio.Error("internal error; see the server's log", print_exception=False) from None

    with gradio.Blocks(mode="server", analytics_enabled=False) as blocks:
        for function, queue in endpoints(gradio, running, said):
            gradio.api(fn=function, api_name=function.__name__, concurrency_id=queue, concurrency_limit=1)
    for function in blocks.fns.values():
        function.tracks_progress = (
            True  # gradio looks for a parameter with that default, which `api` would show to callers
        )
    return blocks.queue(max_size=running.limits.waiting)
