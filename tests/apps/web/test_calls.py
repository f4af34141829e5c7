"""The calls over the network, as programs make them; and what they must refuse, leaving nothing."""

import json
import sys
from pathlib import Path

import httpx
import pytest

from echosyn import weights
from echosyn.apps.web import server
from echosyn.apps.web.server import Options, Running, read_login
from echosyn.data import filelist, video
from echosyn.errors import ConfigError, DataError, EchosynError, MissingExtraError
from echosyn.pipeline.demo.replay import replay
from waiting import until


def files(page: Running) -> set[Path]:
    """All that is in the page's temporary folder."""
    return {path for path in page.shelf.root.rglob("*") if path.is_file()}


def test_an_invented_heart_beats_and_its_json_makes_the_same_bytes(web, ask, tmp_path):
    heart = ask("invent", "a4c", 9)
    assert heart["verdict"]["status"] == "kept"
    assert heart["picture"].startswith("data:image/png;base64,")
    made = ask("beat", "a4c", 9, 35.0, 64)
    assert (made["frames"], made["requested_ef"], len(made["areas"])) == (64, 35.0, 64)
    assert abs(made["measured_ef"] - 35) < 20
    avi = web.get(made["files"]["avi"], params={"save": 1})
    assert avi.headers["content-disposition"] == 'attachment; filename="heart.avi"'
    (tmp_path / "heart.json").write_bytes(web.get(made["files"]["json"]).content)
    replay(tmp_path / "heart.json", tmp_path / "again", models=weights.shipped(), device="cpu")
    assert (tmp_path / "again" / "Videos" / "synthetic_000000.avi").read_bytes() == avi.content
    (tmp_path / "heart.mp4").write_bytes(web.get(made["files"]["mp4"]).content)
    assert video.probe(tmp_path / "heart.mp4")[:3] == (64, 112, 112)
    assert web.get(made["files"]["mp4"], headers={"range": "bytes=0-9"}).status_code == 206
    assert web.get(made["files"]["gif"]).content[:3] == b"GIF"


def test_a_brought_clip_is_cropped_reproduced_and_not_kept(page, web, ask, clip):
    upload = web.post("/upload", content=clip.read_bytes()).json()["upload"]
    assert len(list(page.shelf.uploads.iterdir())) == 1
    seen = ask("look", upload)
    assert not list(page.shelf.uploads.iterdir())
    assert (seen["kind"], seen["width"], seen["height"], seen["frames"]) == ("clip", 224, 224, 64)
    made = ask("reproduce", seen["clip"], [0, 0, 224], "a4c")
    assert made["real"]["video"].startswith("data:video/mp4;base64,")
    assert "Not de-identified" in made["warning"]
    assert made["command"] is None
    assert json.loads(web.get(made["files"]["json"]).content)["deidentified"] is False
    assert "crop" in ask("animate", seen["clip"], [0, 0, 225], "a4c", 50.0)
    assert "upload" in ask("look", upload)


def test_a_dataset_and_its_videos(web, ask, house):
    found = ask("dataset", 0, "", 0.0, 100.0, "", 0)
    assert [v["name"] for v in found["videos"]] == [r.name for r in filelist.read(house / "real")]
    assert web.get("/video/0", params={"name": found["videos"][0]["name"]}).headers["content-type"] == "video/mp4"
    hostile = filelist.read(house / "synthetic")[0].name
    assert "<img" in hostile
    assert hostile in [v["name"] for v in ask("dataset", 1)["videos"]]
    assert web.get("/video/1", params={"name": hostile}).status_code == 200


def test_a_report_has_no_origin(web):
    answer = web.get("/report/2/0")
    assert "sandbox allow-scripts;" in answer.headers["content-security-policy"]
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "same-origin" not in answer.headers["content-security-policy"]


def test_nothing_outside_of_the_folders_is_read(web, ask, house):
    linked, secret = filelist.read(house / "real")[1].name, (house / "secret.html").read_text()
    asked = [
        ("/video/1", {"name": linked}),
        ("/video/0", {"name": "../../secret"}),
        ("/video/0", {"name": str(house / "secret.avi")}),
        ("/video/7", {"name": linked}),
        ("/report/2/1", {}),
        ("/report/0/0", {}),
        ("/page/..%2fserver.py", {}),
        ("/page/%2e%2e%2f%2e%2e%2fcli%2fpage.py", {}),
        ("/made/..%2f..%2fetc%2fpasswd.avi", {}),
        ("/gradio_api/file=/etc/passwd", {}),
        (f"/gradio_api/file={house}/secret.html", {}),
        ("/gradio_api/proxy=http://127.0.0.1/", {}),
    ]
    for path, query in asked:
        answer = web.get(path, params=query)
        assert answer.status_code in (404, 403), path
        assert secret not in answer.text
        assert len(answer.content) < 300
    assert secret not in web.get("/about").text
    assert "no such folder" in ask("dataset", 99)


@pytest.mark.parametrize(
    "values",
    [
        ("beat", "a4c", 7, 60.0, 10_000),
        ("beat", "a4c", 7, 60.0, -1),
        ("beat", "a4c", 7, 99.0),
        ("beat", "a4c", 7, "60"),
        ("beat", "a4c", 7, None),
        ("beat", "a4c", 7, 60.0, 64, 10**9),
        ("beat", "a4c", 7, 60.0, 64, 0, "../../x"),
        ("beat", "../reid", 7, 60.0),
        ("beat", ["a4c"], 7, 60.0),
        ("beat", "a4c", 10**30, 60.0),
        ("beat", "a4c", {"a": 1}, 60.0),
        ("invent", "a4c", -1),
        ("invent", "a4c", 1.5),
        ("look", "../../etc/passwd"),
        ("look", {"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}}),
        ("animate", "nobody", [0, 0, 10], "a4c", 50.0),
        ("reproduce", "nobody", "all", "a4c"),
        ("dataset", "0"),
        ("dataset", 0, "", "a", "b"),
    ],
)
def test_requests_out_of_bounds_are_refused_in_a_sentence(page, ask, values):
    before = files(page)
    answer = ask(*values)
    assert isinstance(answer, str), answer
    assert "internal error" not in answer, answer
    assert "Traceback" not in answer
    assert str(page.shelf.root) not in answer
    assert files(page) == before


def test_a_huge_upload_is_refused_before_it_is_read(page, web):
    import socket

    with socket.create_connection(("127.0.0.1", web.base_url.port), timeout=5) as raw:
        head = f"POST /upload HTTP/1.1\r\nHost: 127.0.0.1:{web.base_url.port}\r\nContent-Length: 1000000000\r\n\r\n"
        raw.sendall(head.encode() + b"x" * 1000)
        assert raw.recv(4096).startswith(b"HTTP/1.1 413")
    chunked = web.post("/upload", content=iter([b"x" * 1000] * 10))
    assert chunked.status_code == 411
    assert not list(page.shelf.uploads.iterdir())


def test_an_upload_that_breaks_off_leaves_nothing(page, web):
    import socket

    def uploads():
        return list(page.shelf.uploads.iterdir())

    with socket.create_connection(("127.0.0.1", web.base_url.port), timeout=5) as raw:
        head = f"POST /upload HTTP/1.1\r\nHost: 127.0.0.1:{web.base_url.port}\r\nContent-Length: 100000\r\n\r\n"
        raw.sendall(head.encode() + b"x" * 1000)
        until(uploads)
    until(lambda: not uploads())


def test_bad_uploads_are_refused_and_gone(page, web, ask):
    upload = web.post("/upload", content=b"#!/bin/sh\nrm -rf /\n").json()["upload"]
    assert "expected a PNG" in ask("look", upload)
    assert not list(page.shelf.uploads.iterdir())
    planted = page.shelf.uploads / ("a" * 22)
    planted.symlink_to("/etc/passwd")
    answer = ask("look", "a" * 22)
    assert "upload the file again" in answer
    assert not planted.is_symlink()
    assert Path("/etc/passwd").exists()


def test_posts_of_other_pages_are_refused(web):
    body = {"data": ["a4c", 7]}
    for headers in ({"origin": "https://evil.example"}, {"host": "evil.example"}, {"sec-fetch-site": "cross-site"}):
        answer = web.post("/gradio_api/call/invent", json=body, headers=headers)
        assert answer.status_code == 403
        assert "access-control-allow-origin" not in answer.headers or headers.get("origin") is None


def test_a_call_that_was_stopped_stops(web, ask):
    assert web.post("/stop/job-1").status_code == 200
    assert "stopped" in ask("invent", "a4c", 4711, "job-1")
    assert isinstance(ask("invent", "a4c", 4711, "job-2"), dict)


def test_steps_are_told_and_a_running_call_stops_at_the_next(web):
    config = web.get("/config").json()
    number = next(d["id"] for d in config["dependencies"] if d["api_name"] == "beat")
    values = ["a4c", 7, 50.0, 192, 64, "euler", "long"]
    web.post(
        "/gradio_api/queue/join", json={"data": values, "fn_index": number, "session_hash": "s"}
    ).raise_for_status()
    steps, ended = [], ""
    with web.stream("GET", "/gradio_api/queue/data", params={"session_hash": "s"}) as stream:
        for line in stream.iter_lines():
            message = json.loads(line.removeprefix("data: ")) if line else {}
            if message.get("msg") == "progress":
                steps.append(message["progress_data"][0]["desc"])
                web.post("/stop/long")
            elif message.get("msg") == "process_completed":
                ended = message["output"]["error"]
    assert ended == "stopped"
    assert steps
    assert "step 64 of 64" not in steps[-1]


@pytest.mark.slow
def test_gradios_own_client_makes_the_same_calls(page):
    from gradio_client import Client

    client = Client(page.url, verbose=False, analytics_enabled=False)
    named = client.view_api(return_format="dict", print_info=False)["named_endpoints"]
    assert set(named) == {"/invent", "/beat", "/look", "/animate", "/reproduce", "/dataset"}
    assert client.predict(view="a4c", seed=7, api_name="/invent")["verdict"]["status"] == "kept"


def test_a_login_is_asked_for(monkeypatch, page):
    monkeypatch.setattr(server, "LOGIN_WAIT_S", 0.01)
    monkeypatch.setattr(Running, "_load", lambda self: None)
    with (
        Running(Options(port=0, login={"ana": "a good password"})) as locked,
        httpx.Client(base_url=locked.url) as visitor,
    ):
        assert "Log in" in visitor.get("/").text
        assert visitor.get("/about").status_code == 401
        for name, password in (("ana", "wrong"), ("nobody", ""), ("ana", ""), ("", "")):
            assert visitor.post("/login", data={"username": name, "password": password}).status_code in (400, 422)
        assert visitor.get("/about").status_code == 401
        assert visitor.post("/gradio_api/call/invent", json={"data": ["a4c", 1]}).status_code == 401
        assert visitor.post("/login", data={"username": "ana", "password": "a good password"}).status_code == 200
        assert visitor.get("/about").status_code == 200
        assert "Generate" in visitor.get("/").text
        root = locked.shelf.root
    assert not root.exists()


def test_users_mistakes_are_one_line(tmp_path, page):
    with pytest.raises(ConfigError, match=r"--port \d+: not free"):
        Running(Options(port=int(page.url.rpartition(":")[2]))).start()
    with pytest.raises(DataError, match="no such folder"):
        Running(Options(folders=[tmp_path / "nowhere"]))
    path = tmp_path / "login"
    for content, mode, says in (
        ("ana:short", 0o600, "8 characters"),
        ("", 0o600, "NAME:PASSWORD"),
        ("a:12345678", 0o644, "chmod"),
    ):
        path.write_text(content)
        path.chmod(mode)
        with pytest.raises(ConfigError, match=says):
            read_login(path)


def test_without_gradio_the_cure_is_named_and_nothing_is_left(page, monkeypatch):
    monkeypatch.setitem(sys.modules, "gradio", None)
    wanted = Running(Options(port=0))
    with pytest.raises(MissingExtraError, match=r"echosyn\[demo\]"):
        wanted.start()
    assert not wanted.shelf.root.exists()


def test_models_that_are_not_there_are_said(tmp_path, page):
    with pytest.raises(EchosynError, match="no lidm model"), Running(Options(models=tmp_path, port=0)) as broken:
        broken.wait(30)
