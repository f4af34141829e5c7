"""A DICOMweb server (PS3.18): which instances it has, one of them as a file, and a file to it.

A token is read from the variable ``ECHOSYN_DICOMWEB_TOKEN``, a name and password from ``~/.netrc``, further authorities of
certificates from ``REQUESTS_CA_BUNDLE``: none of them is an option, which other users of a machine can see.
"""

import logging
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import Message
from itertools import count
from pathlib import Path
from time import sleep
from typing import Any
from urllib.parse import urlsplit

from echosyn.errors import ConfigError, DataError, StoppedError
from echosyn.extras import require
from echosyn.files import whole
from echosyn.storage.multipart import BrokenMessageError, first_part

TOKEN = "ECHOSYN_DICOMWEB_TOKEN"
TIMEOUT_S = (10.0, 120.0)
"""To connect, and between two packets."""
ATTEMPTS = 4
PAGE = 500
"""Results asked for at once."""
MAX_BYTES = 4 << 30
"""Of one instance."""

_THIS_COMPUTER = ("127.0.0.1", "localhost")
_UID = re.compile(r"[0-9][0-9.]{0,63}")
_BLOCK = 1 << 18
_BUSY = (408, 429, 502, 503, 504)
_LOGIN = (401, 403, 407)
_DUPLICATE = 0x0111
_STUDY, _SERIES, _INSTANCE, _CLASS = "0020000D", "0020000E", "00080018", "00080016"
_FAILED, _REASON = "FailedSOPSequence", "FailureReason"
_AS_STORED = 'multipart/related; type="application/dicom"; transfer-syntax=*'

Search = Callable[..., list[dict[str, Any]]]


class NotRetrievedError(DataError):
    """One instance cannot be had; others may. The message says why, in our own words."""


@dataclass(frozen=True)
class Instance:
    """One of a server's instances."""

    study: str
    series: str
    uid: str
    kind: str = ""
    """SOP class, if the server said it."""

    @property
    def name(self) -> str:
        """Path of its file below a folder."""
        return f"{self.study}/{self.series}/{self.uid}.dcm"


def is_address(text: str) -> bool:
    """Whether it begins as the address of a web server does."""
    return text.startswith(("https://", "http://"))


class Server:
    """A DICOMweb server.

    Args:
        url: Its root, below which the studies are.
        pause_s: Wait before a request is made again, doubled each time.

    Raises:
        ConfigError: It is no address, or one that would send patients' data or a token readable through a network.
        MissingExtraError: dicomweb-client is not installed.
    """

    def __init__(self, url: str, *, pause_s: float = 1.0) -> None:
        self.url = _checked(url)
        self.host = urlsplit(self.url).hostname or ""
        self._pause_s = pause_s
        web = require("dicomweb_client", extra="dicomweb")
        self._session = _session(pause_s)
        # chunk_size: what is sent in one piece can be sent again
        self._client = web.DICOMwebClient(
            self.url, session=self._session, timeout=TIMEOUT_S, chunk_size=MAX_BYTES, permissive_uid=True
        )
        self._client.set_http_retry_params(retry=False)
        logging.getLogger("dicomweb_client").addHandler(logging.NullHandler())

    def instances(
        self, studies: Sequence[str] = (), query: Mapping[str, str] | None = None, modality: str = "US"
    ) -> Iterator[Instance]:
        """Every instance of the series of a modality, study by study (QIDO-RS).

        Args:
            studies: UIDs of the studies; without them those that match ``query``.
            query: Attributes of studies and their values, as QIDO-RS takes them.
            modality: Of the series.

        Raises:
            DataError: The server refuses, or its answers make no sense.
            StoppedError: It cannot be reached.
        """
        for study in studies or self._studies({**(query or {}), "ModalitiesInStudy": modality}):
            for series in self._pages(_SERIES, self._client.search_for_series, {"Modality": modality}, study):
                within = _uid(self.url, series, _SERIES)
                for each in self._pages(_INSTANCE, self._client.search_for_instances, {}, study, within):
                    yield Instance(study, within, _uid(self.url, each, _INSTANCE), _value(each, _CLASS))

    def retrieve(self, instance: Instance, path: Path) -> None:
        """Write an instance as the server keeps it, in its own transfer syntax (WADO-RS); whole or not at all.

        Raises:
            NotRetrievedError: This instance cannot be had.
            DataError: The server asks for a login.
            StoppedError: It cannot be reached.
        """
        parts = ("studies", instance.study, "series", instance.series, "instances", instance.uid)
        for attempt in range(ATTEMPTS):
            if attempt:
                sleep(self._pause_s * 2 ** (attempt - 1))
            with _explained(self.url), self._answer("/".join((self.url, *parts))) as response:
                try:
                    with whole(path) as temporary:
                        _save(response, temporary)
                        return
                except BrokenMessageError:
                    pass
                except require("requests", extra="dicomweb").RequestException:
                    pass
        raise NotRetrievedError(f"the transfer broke off {ATTEMPTS} times")

    def store(self, path: Path) -> None:
        """Send a DICOM file (STOW-RS). One that the server has already is left as it is there.

        Raises:
            DataError: The server refuses it.
            StoppedError: It cannot be reached.
        """
        pydicom, requests = require("pydicom", extra="dicomweb"), require("requests", extra="dicomweb")
        with _explained(self.url):
            try:
                answer = self._client.store_instances([pydicom.dcmread(path)])
            except requests.HTTPError as error:
                if error.response.status_code != 409 or "json" not in error.response.headers.get("Content-Type", ""):
                    raise
                answer = pydicom.Dataset.from_json(error.response.json())
                if _FAILED not in answer:
                    raise
        reasons = [int(failed.get(_REASON) or 0) for failed in answer.get(_FAILED) or ()]
        if refused := [reason for reason in reasons if reason != _DUPLICATE]:
            raise DataError(f"{self.url}: does not take {path.name} (failure reason {refused[0]:#06x} of PS3.18)")

    def _studies(self, wanted: Mapping[str, Any]) -> Iterator[str]:
        for each in self._pages(_STUDY, self._client.search_for_studies, wanted):
            yield _uid(self.url, each, _STUDY)

    @contextmanager
    def _answer(self, url: str) -> Iterator[Any]:
        """The answer to a request for an instance, its body still to come."""
        with self._session.get(url, headers={"Accept": _AS_STORED}, stream=True, timeout=TIMEOUT_S) as response:
            code = response.status_code
            if code in _LOGIN or code in _BUSY:
                response.raise_for_status()
            if code != 200:
                raise NotRetrievedError(f"the server says {code}")
            yield response

    def _pages(self, tag: str, search: Search, wanted: Mapping[str, Any], *within: str) -> Iterator[dict[str, Any]]:
        """All results of a search, each once, however many the server gives at once."""
        seen: set[str] = set()
        for page in count():
            with _explained(self.url):
                found = search(*within, limit=PAGE, offset=len(seen), additional_params=dict(wanted))
            new = {uid: each for each in found if (uid := _value(each, tag)) not in seen}
            yield from new.values()
            seen |= new.keys()
            if page and found and not new and len(found) == PAGE:
                raise DataError(
                    f"{self.url}: gives {PAGE} results of a search and never the next ones; narrow it with --study or --query"
                )
            if not new:
                return


def _checked(url: str) -> str:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if not is_address(url) or not host or parts.query or parts.fragment:
        raise ConfigError(f"{url}: expected the root of a DICOMweb server, such as https://HOST/dicom-web")
    if parts.username is not None:
        shown = url.replace(f"{parts.netloc.rpartition('@')[0]}@", "")
        raise ConfigError(f"{shown}: no name or password in an address, which others can read: put them into ~/.netrc")
    if parts.scheme == "http" and host not in _THIS_COMPUTER:
        raise ConfigError(
            f"{url}: patients' data would be readable on the way; give https://, or a tunnel to 127.0.0.1"
        )
    return url.rstrip("/")


def _session(pause_s: float) -> Any:
    """Connections that check certificates, follow no redirection and try again while a server is busy."""
    requests = require("requests", extra="dicomweb")
    retry = require("urllib3", extra="dicomweb").Retry(
        total=ATTEMPTS - 1,
        backoff_factor=pause_s,
        status_forcelist=_BUSY,
        allowed_methods=None,
        redirect=False,
        raise_on_status=False,
        respect_retry_after_header=False,
    )
    session = requests.Session()
    session.max_redirects = 0
    for scheme in ("https://", "http://"):
        session.mount(scheme, requests.adapters.HTTPAdapter(max_retries=retry))
    if token := os.environ.get(TOKEN, "").strip():
        if not (token.isascii() and token.isprintable()):
            raise ConfigError(f"{TOKEN}: holds characters that no token has; set it to the token alone")

        def signed(request: Any) -> Any:
            request.headers["Authorization"] = f"Bearer {token}"
            return request

        session.auth = signed
    return session


def _save(response: Any, path: Path) -> None:
    """Write the one file that an answer holds."""
    header = Message()
    header["Content-Type"] = response.headers.get("Content-Type", "")
    chunks = response.iter_content(_BLOCK)
    if header.get_content_type() == "multipart/related" and header.get_param("boundary"):
        chunks = first_part(chunks, str(header.get_param("boundary")).encode())
    elif header.get_content_type() != "application/dicom":
        raise NotRetrievedError("the server answers with something that is no DICOM file")
    size = 0
    with path.open("wb") as file:
        for chunk in chunks:
            size += file.write(chunk)
            if size > MAX_BYTES:
                raise NotRetrievedError(f"it has more than {MAX_BYTES >> 30} GiB")


def _value(found: Mapping[str, Any], tag: str) -> str:
    """The first value of an attribute in DICOM's JSON; empty if there is none."""
    try:
        return str(found[tag]["Value"][0])
    except (KeyError, IndexError, TypeError):
        return ""


def _uid(url: str, found: Mapping[str, Any], tag: str) -> str:
    uid = _value(found, tag)
    if not _UID.fullmatch(uid):
        raise DataError(f"{url}: a result of its search has no UID; expected a DICOMweb server (PS3.18)")
    return uid


@contextmanager
def _explained(url: str) -> Iterator[None]:
    """Faults of a connection in our own words: neither addresses of patients nor tokens are in them."""
    errors = require("requests", extra="dicomweb").exceptions
    try:
        yield
    except errors.TooManyRedirects as error:
        raise DataError(f"{url}: leads elsewhere; give the address where the server is") from error
    except errors.SSLError as error:
        raise DataError(
            f"{url}: its certificate is not trusted ({_reason(error)}); if your house has its own authority, set "
            "REQUESTS_CA_BUNDLE to the file of its certificates"
        ) from error
    except errors.HTTPError as error:
        code = error.response.status_code
        kind = StoppedError if code in _BUSY else DataError
        raise kind(f"{url}: the server says {code}; {_cure(code)}") from error
    except errors.InvalidJSONError as error:
        raise DataError(f"{url}: does not answer in DICOM's JSON; expected the root of a DICOMweb server") from error
    except errors.RequestException as error:
        raise StoppedError(
            f"{url}: cannot be reached ({_reason(error)}); check the address, or run the same command again to continue"
        ) from error


def _cure(code: int) -> str:
    if code in _LOGIN:
        return f"set {TOKEN} to a valid token, or put name and password into ~/.netrc"
    if code in _BUSY:
        return "run the same command again later to continue"
    if code == 404:
        return "expected the root of a DICOMweb server, such as https://HOST/dicom-web"
    return "check the address, --study and --query"


def _reason(error: Any) -> str:
    """The innermost words of a fault."""
    inner = error.args[0] if error.args else error
    return str(getattr(inner, "reason", inner)).rpartition(": ")[2].rstrip(")'\"").lstrip("('\"")
