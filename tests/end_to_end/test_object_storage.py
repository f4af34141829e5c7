"""The path on a real S3 server: the same bytes as on local folders, also after a kill and a lost connection."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("s3fs")
pytest.importorskip("moto.server")
pytestmark = pytest.mark.slow

BUCKET = "hospital"
KEYS = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "us-east-1"}

SERVER = """
import sys, time
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import run_simple

application = DomainDispatcherApplication(create_backend_app)

def slow(environment, start_response):
    answer = application(environment, start_response)
    if environment["REQUEST_METHOD"] == "PUT":
        with open(sys.argv[2], "a") as log:
            log.write(environment["PATH_INFO"] + chr(10))
        time.sleep(0.2)
    return answer

run_simple("127.0.0.1", int(sys.argv[1]), slow, threaded=True)
"""
"""It tells what was put, and so slowly that an upload takes a second: time to break it off."""


def wait_for(reached: Callable[[], bool], process: "subprocess.Popen[Any]", timeout_s: float = 60) -> None:
    deadline = time.monotonic() + timeout_s
    while not reached():
        assert process.poll() is None, "ended too early"
        assert time.monotonic() < deadline, "nothing happens"
        time.sleep(0.001)


@dataclass
class Server:
    """An S3 server of this machine, empty but for a bucket."""

    port: int
    log: Path
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        command = [sys.executable, "-c", SERVER, str(self.port), str(self.log)]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for(self._answers, self.process)
        self.files().mkdir(BUCKET)

    def stop(self) -> None:
        assert self.process
        self.process.kill()
        self.process.wait()

    def files(self) -> Any:
        """The bucket as this test sees it."""
        import s3fs

        options = {"key": "key", "secret": "secret", "endpoint_url": self.url}
        return s3fs.S3FileSystem(**options, use_listings_cache=False, skip_instance_cache=True)

    def contents(self, folder: str) -> dict[str, bytes]:
        files, root = self.files(), f"{BUCKET}/{folder}/"
        return {path.removeprefix(root): files.cat_file(path) for path in files.find(root)}

    def put(self) -> list[str]:
        """Files that have arrived, as they came."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return [
            line.removeprefix(f"/{BUCKET}/data/") for line in lines if "/data/" in line and ".uploading" not in line
        ]

    def written(self, folder: str) -> dict[str, object]:
        """When each object was written."""
        root = f"{BUCKET}/{folder}/"
        return {p.removeprefix(root): i["LastModified"] for p, i in self.files().find(root, detail=True).items()}

    def _answers(self) -> bool:
        with socket.socket() as asking:
            return asking.connect_ex(("127.0.0.1", self.port)) == 0


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        found = Server(free.getsockname()[1], tmp_path / "put")
    try:
        found.start()
        yield found
    finally:
        if found.process:
            found.stop()


@dataclass
class Shell:
    """``echosyn ARGUMENTS`` in a process of its own, with the server as its storage."""

    server: Server
    cache: Path

    def start(self, *arguments: object) -> "subprocess.Popen[str]":
        environment = os.environ | KEYS | {"AWS_ENDPOINT_URL": self.server.url, "ECHOSYN_CACHE": str(self.cache)}
        command = [sys.executable, "-m", "echosyn", *map(str, arguments)]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen(command, env=environment | {"OMP_NUM_THREADS": "1"}, text=True, **pipes)

    def __call__(self, *arguments: object) -> tuple[int, str, str]:
        process = self.start(*arguments)
        out, err = process.communicate(timeout=300)
        return process.returncode, out, err

    def good(self, *arguments: object) -> str:
        code, out, err = self(*arguments)
        assert code == 0, err
        return out


@pytest.fixture
def shell(server: Server, tmp_path: Path) -> Shell:
    return Shell(server, tmp_path / "cache")


def contents(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_the_path_makes_the_same_bytes(server, shell, tmp_path):
    from echosyn import weights

    bucket = f"s3://{BUCKET}"
    server.files().put(f"{weights.shipped()}/", f"{BUCKET}/models", recursive=True)
    for root, models in ((str(tmp_path), str(weights.shipped())), (bucket, f"{bucket}/models")):
        shell.good("phantom", f"{root}/data", "--num", 12, "--frames", 64)
        shell.good("encode", f"{root}/data", f"{root}/latents", "--vae", f"{models}/vae")
        how = ["--models", models, "--dataset", "a4c", "--num", 2, "--frames", 64, "--ef-from", f"{root}/data"]
        shell.good("generate", f"{root}/synthetic", *how, "--reference", f"{root}/latents", "--real", f"{root}/data")
    for made in ("data", "latents", "synthetic"):
        assert server.contents(made) == contents(tmp_path / made), made
    assert not list(shell.cache.rglob("work.json"))


def test_an_upload_that_was_killed_is_not_whole_and_goes_on(server, shell, tmp_path):
    arguments = ["--num", 24, "--frames", 64, "--seed", 4]
    shell.good("phantom", tmp_path / "local", *arguments)
    running = shell.start("phantom", f"s3://{BUCKET}/data", *arguments)
    wait_for(lambda: bool(server.put()), running)
    running.kill()
    running.communicate()
    assert running.returncode == -signal.SIGKILL
    before = server.written("data")
    sent = before.keys() - {".uploading"}
    assert len(sent) < len(contents(tmp_path / "local"))
    assert "provenance.json" not in before
    code, _, err = shell("check", f"s3://{BUCKET}/data")
    assert (code, len(err.splitlines())) == (2, 1)
    shell.good("phantom", f"s3://{BUCKET}/data", *arguments)
    assert server.contents("data") == contents(tmp_path / "local")
    after = server.written("data")
    assert all(after[name] == before[name] for name in sent)


def test_a_lost_connection_is_one_line_and_the_same_command_continues(server, shell, tmp_path):
    arguments = ["--num", 24, "--frames", 64, "--seed", 5]
    running = shell.start("phantom", f"s3://{BUCKET}/data", *arguments, "--quiet")
    wait_for(lambda: bool(server.put()), running)
    server.stop()
    out, err = running.communicate(timeout=300)
    assert (running.returncode, out, len(err.splitlines())) == (2, "", 1), err
    assert err.startswith(f"error: s3://{BUCKET}/data: the storage does not answer")
    server.start()  # it has forgotten everything
    shell.good("phantom", f"s3://{BUCKET}/data", *arguments)
    shell.good("phantom", tmp_path / "local", *arguments)
    assert server.contents("data") == contents(tmp_path / "local")


def test_what_cannot_be_reached_is_one_line(server, shell):
    server.files().pipe_file(f"{BUCKET}/data/x", b"x")
    code, out, err = shell("phantom", "s3://no-such-bucket/data", "--num", 1, "--frames", 64)
    assert (code, out) == (2, "")
    assert err.startswith("error: s3://no-such-bucket/data: no such folder, file or bucket")
    server.stop()
    code, out, err = shell("check", f"s3://{BUCKET}/data")
    assert (code, out, len(err.splitlines())) == (2, "", 1)
    assert err.startswith(f"error: s3://{BUCKET}/data: the storage does not answer")
