"""Fetching: what arrives is what was published, or nothing arrives."""

import hashlib
import socket
from pathlib import Path
from typing import Any

import pytest

from echosyn.errors import ConfigError, ModelError
from echosyn.weights import fetch, registry
from echosyn.weights.registry import Source

CONTENT = bytes(range(256)) * 40
DIGEST = hashlib.sha256(CONTENT).hexdigest()


def source(**files: str | None) -> Source:
    names = {name.replace("_", "."): digest for name, digest in files.items()}
    return Source(name="a/b", about="", folder="b", files=names, licence="MIT", url="http://127.0.0.1:9")


KNOWN = source(weights_bin=DIGEST)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "models"


@pytest.fixture
def served(mirror: Any) -> Any:
    (mirror.root / "b").mkdir()
    (mirror.root / "b" / "weights.bin").write_bytes(CONTENT)
    return mirror


def get(served: Any, out: Path, chosen: Source = KNOWN, **options: Any) -> dict[str, str]:
    return fetch.fetch([chosen], out, mirror=served.url, pause_s=0, **options)


def files(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def test_what_is_fetched_is_there_verified_and_not_fetched_again(served: Any, out: Path) -> None:
    assert get(served, out) == {"b/weights.bin": DIGEST} == fetch.verify(out)
    assert (out / "b" / "weights.bin").read_bytes() == CONTENT
    assert files(out) == ["SHA256SUMS", "b/weights.bin"]
    get(served, out)
    assert len(served.asked) == 1


def test_a_dropped_connection_is_taken_up_where_it_broke(served: Any, out: Path) -> None:
    served.drop_after = [1000, 500]
    get(served, out)
    assert [asked for _, asked in served.asked] == [None, "bytes=1000-", "bytes=1500-"]
    assert fetch.verify(out)


def test_a_later_call_continues_what_an_earlier_one_left(served: Any, out: Path) -> None:
    served.drop_after = [100] * fetch.ATTEMPTS
    with pytest.raises(ModelError, match="the connection was dropped"):
        get(served, out)
    assert files(out) == ["b/weights.bin.part"]
    served.asked.clear()
    get(served, out)
    assert [asked for _, asked in served.asked] == [f"bytes={100 * fetch.ATTEMPTS}-"]
    assert fetch.verify(out)


def test_a_server_without_ranges_sends_it_all_again(served: Any, out: Path) -> None:
    served.ranges, served.drop_after = False, [1000]
    get(served, out)
    assert fetch.verify(out)


def test_a_whole_part_of_a_killed_call_is_used(served: Any, out: Path) -> None:
    (out / "b").mkdir(parents=True)
    (out / "b" / "weights.bin.part").write_bytes(CONTENT)
    get(served, out)
    assert fetch.verify(out)


@pytest.mark.parametrize("where", ["server", "folder"])
def test_a_flipped_byte_is_refused_and_leaves_nothing(where: str, served: Any, out: Path) -> None:
    path = served.root / "b" / "weights.bin"
    path.write_bytes(CONTENT[:-1] + b"\0")
    with pytest.raises(ModelError, match=r"its SHA-256 is .*, expected") as error:
        fetch.fetch([KNOWN], out, mirror=served.url if where == "server" else str(served.root), pause_s=0)
    assert "\n" not in str(error.value)
    assert files(out) == []


def test_verify_finds_one_changed_byte_and_a_lost_file(served: Any, out: Path) -> None:
    get(served, out)
    path = out / "b" / "weights.bin"
    path.write_bytes(b"\1" + CONTENT[1:])
    with pytest.raises(ModelError, match="its SHA-256 is"):
        fetch.verify(out)
    with pytest.raises(ModelError, match="its SHA-256 is"):
        get(served, out)
    path.unlink()
    with pytest.raises(ModelError, match="no such file"):
        fetch.verify(out)
    with pytest.raises(ModelError, match="no such record"):
        fetch.verify(served.root)


def test_an_unpublished_hash_needs_trust_and_is_held_to_from_then_on(served: Any, out: Path) -> None:
    unknown = source(weights_bin=None)
    with pytest.raises(ModelError, match="--trust-on-first-use"):
        get(served, out, unknown)
    assert not served.asked
    assert get(served, out, unknown, trust_on_first_use=True) == {"b/weights.bin": DIGEST}
    (out / "b" / "weights.bin").unlink()
    (served.root / "b" / "weights.bin").write_bytes(b"another")
    with pytest.raises(ModelError, match=f"expected {DIGEST[:12]}"):
        get(served, out, unknown, trust_on_first_use=True)


def test_halves_of_files_without_a_hash_are_never_joined(served: Any, out: Path) -> None:
    (out / "b").mkdir(parents=True)
    (out / "b" / "weights.bin.part").write_bytes(b"half of something else")
    get(served, out, source(weights_bin=None), trust_on_first_use=True)
    assert (out / "b" / "weights.bin").read_bytes() == CONTENT


def test_a_prefix_of_a_hash_is_enough(served: Any, out: Path) -> None:
    assert get(served, out, source(weights_bin=DIGEST[:8]))
    with pytest.raises(ModelError, match="its SHA-256"):
        get(served, out / "2", source(weights_bin="0" * 8))


def test_offline_opens_no_connection(served: Any, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("a connection was opened"))
    with pytest.raises(
        ModelError, match=r"offline: 1 file\(s\) are missing, first http://127.0.0.1:9/weights.bin; copy"
    ):
        fetch.fetch([KNOWN], out, offline=True)
    assert fetch.fetch([KNOWN], out, offline=True, mirror=str(served.root)) == {"b/weights.bin": DIGEST}
    assert fetch.fetch([KNOWN], out, offline=True) == {"b/weights.bin": DIGEST}


def test_what_cannot_be_had_says_so_in_one_line(served: Any, out: Path) -> None:
    with pytest.raises(ModelError, match="the server says 404"):
        get(served, out, source(other_bin=DIGEST))
    with pytest.raises(ModelError, match="no such file; expected the published layout"):
        fetch.fetch([source(other_bin=DIGEST)], out, mirror=str(served.root))
    with pytest.raises(ModelError, match="download failed"):
        fetch.fetch([KNOWN], out, pause_s=0)
    with pytest.raises(ConfigError, match="begins with http"):
        fetch.fetch([KNOWN], out, mirror="ftp://somewhere")


# The table


def test_the_table_is_sound() -> None:
    assert len(registry.sources()) >= 9
    for source in registry.sources().values():
        assert source.licence
        assert bool(source.hub) != bool(source.url)
        assert all(d is None or (8 <= len(d) <= 64 and int(d, 16) >= 0) for d in source.files.values())
        assert all(source.address(file).startswith("https://") for file in source.files)


def test_a_group_is_all_of_its_members_and_a_wrong_name_finds_the_near_miss() -> None:
    assert {s.folder for s in registry.select(["echonet-synthetic"])} >= {"vae", "lvdm", "lidm_dynamic"}
    assert [s.name for s in registry.select(["metrics/i3d", "metrics/i3d"])] == ["metrics/i3d"]
    with pytest.raises(ModelError, match="did you mean 'metrics/i3d'"):
        registry.select(["metrics/i3"])


def test_the_hub_can_be_a_mirror(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "https://mirror.example/")
    (vae,) = registry.select(["echonet-synthetic/vae"])
    assert vae.address("config.json") == (
        "https://mirror.example/HReynaud/EchoNet-Synthetic/resolve/main/vae/config.json"
    )


def test_all_eleven_published_folders_can_be_fetched() -> None:
    variants = ("dynamic", "ped_a4c", "ped_psax")
    expected = {
        "vae",
        "lvdm",
        *(f"{kind}_{v}" for kind in ("lidm", "reidentification", "regression") for v in variants),
    }
    assert {source.folder for source in registry.select(["echonet-synthetic"])} == expected
    files = {source.folder: set(source.files) for source in registry.select(["echonet-synthetic"])}
    for variant in variants:
        name = f"reidentification_{variant}"
        assert files[name] == {"config.json", f"{name}_best_network.pth"}
        assert files[f"regression_{variant}"] == {"best.pt"}


def test_a_folder_that_came_another_way_is_recorded_and_verified_from_then_on(tmp_path: Path) -> None:
    chosen = registry.select(["echonet-synthetic/vae", "echonet-synthetic/regression_ped_a4c"])
    for source in chosen:
        (tmp_path / source.folder).mkdir()
        for file in source.files:
            (tmp_path / source.folder / file).write_bytes(file.encode())
    with pytest.raises(ModelError, match=r"no such record; .* echosyn weights fetch .* --offline --trust-on-first-use"):
        fetch.verify(tmp_path)
    fetch.fetch(chosen, tmp_path, offline=True, trust_on_first_use=True)
    assert len(fetch.verify(tmp_path)) == 3
    (tmp_path / "vae" / "config.json").write_bytes(b"other")
    with pytest.raises(ModelError, match="its SHA-256 is"):
        fetch.verify(tmp_path)
