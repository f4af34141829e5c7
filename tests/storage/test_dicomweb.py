"""A DICOMweb server is asked for everything once, believed in nothing, and told no secret that is not its own."""

import datetime
import ipaddress
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import hospital
from archive import Archive, serving
from echosyn.errors import ConfigError, DataError, EchosynError, StoppedError
from echosyn.storage import dicomweb
from echosyn.storage.dicomweb import Instance, NotRetrievedError, Server
from echosyn.storage.multipart import BrokenMessageError, first_part

pytest.importorskip("dicomweb_client", reason="needs echosyn[dicomweb]")


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    """Five files of three patients."""
    with serving() as found:
        for number in range(5):
            found.add(hospital.tiny(tmp_path / "src" / f"{number}.dcm", number, patient=f"P{number // 2}").read_bytes())
        yield found


@pytest.fixture(autouse=True)
def _no_login(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(dicomweb.TOKEN, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))


def server(archive: Archive) -> Server:
    return Server(archive.url, pause_s=0)


def found(archive: Archive, **asked: object) -> list[str]:
    return [each.uid for each in server(archive).instances(**asked)]  # type: ignore[arg-type]


def first(archive: Archive) -> Instance:
    return next(iter(server(archive).instances()))


@given(st.binary(max_size=200), st.integers(1, 40), st.sampled_from([b"b", b"--", b"0f3c-x", b"a" * 70]))
def test_a_part_is_the_same_however_the_message_is_cut(content: bytes, size: int, boundary: bytes) -> None:
    if b"\r\n--" + boundary in content:
        return
    message = b"--%s\r\nContent-Type: application/dicom\r\n\r\n%s\r\n--%s--\r\n" % (boundary, content, boundary)
    pieces = [message[i : i + size] for i in range(0, len(message), size)]
    assert b"".join(first_part(pieces, boundary)) == content
    with pytest.raises(BrokenMessageError):
        list(first_part([message[: len(message) - len(boundary) - 9]], boundary))


def test_a_message_that_never_begins_is_not_kept() -> None:
    read = []

    def endless() -> Iterator[bytes]:
        while True:
            read.append(1)
            yield b"x" * 1024

    with pytest.raises(BrokenMessageError):
        list(first_part(endless(), b"b"))
    assert len(read) < 70


@pytest.mark.parametrize("at_most", [1000, 2, 1])
def test_everything_is_found_once_whatever_the_server_gives_at_once(archive: Archive, at_most: int) -> None:
    archive.at_most = at_most
    assert sorted(found(archive)) == sorted(archive.files)


def test_a_search_is_narrowed_by_study_query_and_modality(archive: Archive) -> None:
    of_one = [uid for uid, header in archive.headers.items() if header["PatientID"] == "P1"]
    assert found(archive, query={"PatientID": "P1"}) == of_one
    assert found(archive, studies=[archive.headers[of_one[0]]["StudyInstanceUID"]]) == of_one[:1]
    assert found(archive, modality="CT") == []


def test_a_server_that_does_not_page_is_told_from_one_that_has_no_more(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive.pages = False
    assert sorted(found(archive)) == sorted(archive.files)
    monkeypatch.setattr(dicomweb, "PAGE", 2)
    with pytest.raises(DataError, match="never the next ones; narrow it"):
        found(archive)


def test_what_arrives_is_what_is_kept_and_a_transfer_that_breaks_off_is_made_again(
    archive: Archive, tmp_path: Path
) -> None:
    wanted = first(archive)
    archive.drop[wanted.uid] = [700, 20]
    server(archive).retrieve(wanted, tmp_path / "a.dcm")
    assert (tmp_path / "a.dcm").read_bytes() == archive.files[wanted.uid]
    assert len(archive.fetched()) == 3
    archive.plain = True
    server(archive).retrieve(wanted, tmp_path / "b.dcm")
    assert (tmp_path / "b.dcm").read_bytes() == archive.files[wanted.uid]


def test_half_an_instance_is_none(archive: Archive, tmp_path: Path) -> None:
    wanted = first(archive)
    archive.cut.add(wanted.uid)
    with pytest.raises(NotRetrievedError, match="broke off 4 times"):
        server(archive).retrieve(wanted, tmp_path / "a.dcm")
    assert list(tmp_path.glob("a.dcm*")) == []


def test_an_instance_larger_than_is_read_is_not_kept(
    archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted, asked = first(archive), server(archive)
    monkeypatch.setattr(dicomweb, "MAX_BYTES", 1000)
    with pytest.raises(NotRetrievedError, match="more than"):
        asked.retrieve(wanted, tmp_path / "a.dcm")
    assert list(tmp_path.glob("a.dcm*")) == []


@pytest.mark.parametrize(("code", "kind"), [(404, NotRetrievedError), (500, NotRetrievedError), (401, DataError)])
def test_one_instance_that_cannot_be_had_is_not_a_server_that_refuses(
    archive: Archive, tmp_path: Path, code: int, kind: type[Exception]
) -> None:
    wanted = first(archive)
    archive.fails[wanted.uid] = code
    with pytest.raises(kind, match=str(code)) as raised:
        server(archive).retrieve(wanted, tmp_path / "a.dcm")
    assert type(raised.value) is kind


def test_a_busy_server_is_asked_again_and_then_left(archive: Archive) -> None:
    archive.busy = 3
    assert len(found(archive)) == 5
    archive.busy = 4
    with pytest.raises(StoppedError, match="says 503; run the same command again later"):
        found(archive)


@pytest.mark.parametrize(
    ("fault", "kind", "words"),
    [
        ({"token": "x"}, DataError, "says 401; set ECHOSYN_DICOMWEB_TOKEN"),
        ({"fails": {"/studies": 404}}, DataError, "says 404; expected the root"),
        ({"fails": {"/studies": 400}}, DataError, "says 400; check the address, --study and --query"),
        ({"redirect": "https://elsewhere.example/"}, DataError, "leads elsewhere"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    archive: Archive, fault: dict[str, object], kind: type[EchosynError], words: str
) -> None:
    for name, value in fault.items():
        setattr(archive, name, value)
    with pytest.raises(kind, match=words) as raised:
        found(archive)
    assert "\n" not in str(raised.value)


def test_no_server_is_said_in_one_line() -> None:
    with pytest.raises(StoppedError, match=r"cannot be reached \(.*[Rr]efused\); check the address"):
        list(Server("http://127.0.0.1:9/dicom-web", pause_s=0).instances())


def test_the_token_goes_to_the_server_and_into_no_message(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    archive.token = "s3cret"
    monkeypatch.setenv(dicomweb.TOKEN, "s3cret\n")
    assert len(found(archive)) == 5
    monkeypatch.setenv(dicomweb.TOKEN, "wr0ng")
    with pytest.raises(DataError) as raised:
        found(archive)
    said: list[BaseException | None] = [raised.value]
    while said[-1] is not None:
        said.append(said[-1].__cause__ or said[-1].__context__)
    assert len(said) > 2
    assert "wr0ng" not in repr(said)
    monkeypatch.setenv(dicomweb.TOKEN, "b\nd")
    with pytest.raises(ConfigError, match="no token has"):
        server(archive)


def test_a_name_and_a_password_come_from_the_usual_file(
    archive: Archive, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    archive.login = ("reader", "s3cret")
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login reader password s3cret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    assert len(found(archive)) == 5


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://pacs.example/dicom-web", "readable on the way"),
        ("https://name:s3cret@pacs.example/dicom-web", "no name or password"),
        ("https:///dicom-web", "expected the root"),
        ("https://pacs.example:x/dicom-web", "expected the root"),
        ("https://pacs.example/dicom-web?x=1", "expected the root"),
        ("ftp://pacs.example", "expected the root"),
    ],
)
def test_an_address_must_keep_secrets(url: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as raised:
        Server(url)
    assert "s3cret" not in str(raised.value)


def test_only_certificates_that_are_trusted_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pem = certificate(tmp_path / "own.pem")
    with serving(pem) as archive:
        monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
        with pytest.raises(DataError, match=r"not trusted \(self.signed certificate.*set REQUESTS_CA_BUNDLE"):
            found(archive)
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(pem))
        assert found(archive) == []


@pytest.mark.parametrize("uid", ["../../etc", "", "1/2", "1" * 65])
def test_a_server_does_not_choose_where_files_lie(archive: Archive, uid: str) -> None:
    header = next(iter(archive.headers.values()))
    header["SOPInstanceUID"] = uid
    with pytest.raises(DataError, match="no UID"):
        found(archive)


@pytest.mark.parametrize(("reason", "words"), [(0x0111, None), (0x0110, "failure reason 0x0110"), (0xA700, "0xa700")])
def test_what_a_server_has_already_is_no_fault(
    archive: Archive, tmp_path: Path, reason: int, words: str | None
) -> None:
    path = hospital.tiny(tmp_path / "new.dcm", 77)
    server(archive).store(path)
    assert len(found(archive)) == 6
    (new,) = set(archive.files) - {f"1.2.826.0.1.{n + 1}" for n in range(5)}
    archive.refused[new] = reason
    if words is None:
        server(archive).store(path)
    else:
        with pytest.raises(DataError, match=words):
            server(archive).store(path)


def certificate(path: Path) -> Path:
    """A key and a certificate for this computer, signed by itself."""
    x509 = pytest.importorskip("cryptography.x509")
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    coded = serialization.Encoding.PEM
    private = key.private_bytes(coded, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(private + signed.public_bytes(coded))
    return path
