"""A small DICOMweb server (PS3.18) for tests, with the standard library alone: search, retrieval, storage, and their faults."""

import base64
import io
import json
import re
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pydicom

BOUNDARY = "part-of-9f2d"
STUDY, SERIES, INSTANCE = "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"
LEVELS = ((STUDY, "studies"), (SERIES, "series"), (INSTANCE, "instances"))


@dataclass
class Archive:
    """What the server has and how it behaves."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    """By SOPInstanceUID."""
    headers: dict[str, dict[str, str]] = field(default_factory=dict)
    """Attributes to search for, by SOPInstanceUID."""
    asked: list[str] = field(default_factory=list)
    """Method, path and query of every request."""
    token: str | None = None
    login: tuple[str, str] | None = None
    at_most: int = 1000
    """Results of one search."""
    pages: bool = True
    """Whether ``offset`` is understood."""
    fails: dict[str, int] = field(default_factory=dict)
    """Status for the requests whose path ends so."""
    busy: int = 0
    """Requests to answer with 503 first."""
    drop: dict[str, list[int]] = field(default_factory=dict)
    """After how many bytes transfers of an instance end, one after the other."""
    cut: set[str] = field(default_factory=set)
    """Instances whose message ends in the middle, though its length is what it says."""
    plain: bool = False
    """Answer with the file alone, not with a message of parts."""
    refused: dict[str, int] = field(default_factory=dict)
    """FailureReason by SOPInstanceUID that STOW-RS does not take."""
    redirect: str = ""

    def add(self, data: bytes) -> str:
        found = pydicom.dcmread(io.BytesIO(data), stop_before_pixels=True)
        uid = str(found.SOPInstanceUID)
        names = (STUDY, SERIES, INSTANCE, "SOPClassUID", "Modality", "PatientID", "StudyDate")
        self.headers[uid] = {name: str(found.get(name, "")) for name in names}
        self.files[uid] = data
        return uid

    def add_folder(self, folder: Path) -> list[str]:
        return [self.add(path.read_bytes()) for path in sorted(folder.rglob("*.dcm"))]

    def fetched(self) -> list[str]:
        """Instances that were asked for, in this order."""
        return [line.rpartition("/")[2] for line in self.asked if re.match(r"GET .*/instances/[0-9.]+$", line)]


def handler(archive: Archive) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *words: Any) -> None:
            pass

        def do_GET(self) -> None:
            parts = self._asked()
            if parts is None:
                return
            path, query = parts
            wado = re.fullmatch(r"/dicom-web/studies/([0-9.]+)/series/([0-9.]+)/instances/([0-9.]+)", path)
            qido = re.fullmatch(
                r"/dicom-web/(?:studies/([0-9.]+)/)?(?:series/([0-9.]+)/)?(studies|series|instances)", path
            )
            if wado:
                self._retrieve(wado[1], wado[2], wado[3])
            elif qido:
                self._search(qido[1], qido[2], qido[3], query)
            else:
                self._say(404)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if (parts := self._asked()) is None:
                return
            kind = Message()
            kind["Content-Type"] = self.headers["Content-Type"]
            if parts[0] != "/dicom-web/studies" or kind.get_param("type") != "application/dicom":
                self._say(415)
                return
            mark = b"--" + str(kind.get_param("boundary")).encode()
            stored, failed = [], []
            for part in body.split(b"\r\n" + mark)[1:-1]:
                header, _, data = part.partition(b"\r\n\r\n")
                assert header.strip() == b"Content-Type: application/dicom"
                uid = str(pydicom.dcmread(io.BytesIO(data), stop_before_pixels=True).SOPInstanceUID)
                reference = {"00081155": {"vr": "UI", "Value": [uid]}}
                if uid in archive.refused:
                    failed.append(reference | {"00081197": {"vr": "US", "Value": [archive.refused[uid]]}})
                else:
                    stored.append(reference)
                    archive.add(data)
            answer = {"00081199": {"vr": "SQ", "Value": stored}} if stored else {}
            answer |= {"00081198": {"vr": "SQ", "Value": failed}} if failed else {}
            self._say(409 if failed else 200, "application/dicom+json", json.dumps(answer).encode())

        def _asked(self) -> tuple[str, dict[str, str]] | None:
            archive.asked.append(f"{self.command} {self.path}")
            parts = urlsplit(self.path)
            given = self.headers.get("Authorization")
            basic = base64.b64encode(":".join(archive.login or ()).encode()).decode()
            if archive.busy:
                archive.busy -= 1
                self._say(503)
            elif archive.redirect:
                self.send_response(302)
                self.send_header("Location", archive.redirect)
                self.send_header("Content-Length", "0")
                self.end_headers()
            elif (archive.token and given != f"Bearer {archive.token}") or (
                archive.login and given != f"Basic {basic}"
            ):
                self._say(401)
            elif code := next((c for end, c in archive.fails.items() if parts.path.endswith(end)), 0):
                self._say(code)
            else:
                return parts.path, dict(parse_qsl(parts.query))
            return None

        def _search(self, study: str | None, series: str | None, level: str, query: dict[str, str]) -> None:
            depth = [name for _, name in LEVELS].index(level)
            limit, offset = int(query.pop("limit", archive.at_most)), int(query.pop("offset", 0))
            wanted = {name.replace("ModalitiesInStudy", "Modality"): value for name, value in query.items()}
            wanted |= {STUDY: study} if study else {}
            wanted |= {SERIES: series} if series else {}
            found: dict[str, dict[str, Any]] = {}
            for header in archive.headers.values():
                if any(not re.fullmatch(v.replace("*", ".*"), header.get(n, "")) for n, v in wanted.items()):
                    continue
                names = [name for name, _ in LEVELS[: depth + 1]] + (["SOPClassUID"] if depth == 2 else [])
                tags = {f"{pydicom.datadict.tag_for_keyword(n):08X}": {"vr": "UI", "Value": [header[n]]} for n in names}
                found.setdefault(header[LEVELS[depth][0]], tags)
            offset = offset if archive.pages else 0
            page = list(found.values())[offset : offset + min(limit, archive.at_most)]
            if page:
                self._say(200, "application/dicom+json", json.dumps(page).encode())
            else:
                self._say(204)

        def _retrieve(self, study: str, series: str, uid: str) -> None:
            header = archive.headers.get(uid, {})
            if (header.get(STUDY), header.get(SERIES)) != (study, series):
                return self._say(404)
            accept = Message()
            accept["Content-Type"] = self.headers.get("Accept", "")
            if accept.get_content_type() != "multipart/related" or accept.get_param("type") != "application/dicom":
                return self._say(406)
            kind, body = "application/dicom", archive.files[uid]
            if not archive.plain:
                kind = f'multipart/related; type="application/dicom"; boundary="{BOUNDARY}"'
                start = f"--{BOUNDARY}\r\nContent-Type: application/dicom\r\n\r\n".encode()
                body = start + body + f"\r\n--{BOUNDARY}--\r\n".encode()
            if uid in archive.cut:
                body = body[: len(body) // 2]
            ends = archive.drop.get(uid)
            return self._say(200, kind, body, ends.pop(0) if ends else None)

        def _say(self, code: int, kind: str = "", body: bytes = b"", end: int | None = None) -> None:
            self.send_response(code)
            if kind:
                self.send_header("Content-Type", kind)
            if code != 204:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[:end])
            if end is not None:
                self.close_connection = True

    return Handler


@contextmanager
def serving(certificate: Path | None = None) -> Iterator[Archive]:
    """An archive at ``archive.url``; over TLS with the certificate and key of a PEM file."""
    archive = Archive()
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler(archive))
    server.daemon_threads = True
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    archive.url = f"http{'s' if certificate else ''}://127.0.0.1:{server.server_address[1]}/dicom-web"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield archive
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
