"""A mirror equals what is there, and costs only what changed; an output is there whole or says that it is not."""

import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFileSystem

from echosyn import storage
from echosyn.errors import ConfigError, DataError, MissingExtraError
from echosyn.storage.place import MARKER, Place

FILES = {"FileList.csv": "name\n", "Videos/a.avi": "aa", "Videos/b.avi": "bbb", "provenance.json": "{}"}
CALL = {"verb": "phantom", "values": {"seed": 0}}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ECHOSYN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(params=["memory", "file"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A folder where nothing is yet."""
    yield "memory://hospital/set" if request.param == "memory" else f"file://{tmp_path}/hospital/set"
    MemoryFileSystem.store.clear()


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Every file that is downloaded or uploaded; a name put into ``asked.broken`` breaks the connection."""
    log: list[tuple[str, str]] = []
    for kind in (LocalFileSystem, MemoryFileSystem):
        get, put = kind.get_file, kind.put_file
        monkeypatch.setattr(
            kind, "get_file", lambda fs, a, b, get=get, **k: (log.append(("get", name(a))), get(fs, a, b, **k))
        )
        monkeypatch.setattr(
            kind, "put_file", lambda fs, a, b, put=put, **k: (log.append(("put", name(b))), put(fs, a, b, **k))
        )
    return log


def name(path: str) -> str:
    return path.partition("/set/")[2] or "(the whole)"


def fill(url: str, files: dict[str, str]) -> None:
    for path, text in files.items():
        Place(url).write(path, text)


def there(url: str) -> dict[str, str]:
    place = Place(url)
    return {path: place.read(path) for path in place.listing()}


def on_disk(folder: Path) -> dict[str, str]:
    return {p.relative_to(folder).as_posix(): p.read_text() for p in folder.rglob("*") if p.is_file()}


def make(folder: Path) -> storage.Finished:
    for path, text in FILES.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    return storage.Finished(0, "made\n")


def never(folder: Path) -> storage.Finished:
    pytest.fail("it was made already")


def send(url: str, how=make, call=CALL) -> storage.Finished:
    with storage.output(url, call) as do:
        return do(how)


def break_off_at(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let only so many files arrive."""
    left = iter(range(number))
    monkeypatch.setattr("echosyn.storage.place.FILES_AT_ONCE", 1)
    for kind in (LocalFileSystem, MemoryFileSystem):

        def put(fs, path, file, *, real=kind.put_file, **options):
            if next(left, None) is None:
                raise ConnectionResetError("connection reset by peer")
            return real(fs, path, file, **options)

        monkeypatch.setattr(kind, "put_file", put)


def test_a_mirror_is_the_folder_and_is_called_like_it(url):
    fill(url, FILES)
    here = storage.local(url)
    assert here.name == "set"
    assert on_disk(here) == FILES


def test_only_what_is_new_or_changed_is_downloaded_and_what_is_gone_goes(url, asked):
    fill(url, FILES)
    here = storage.local(url + "/")
    asked.clear()
    assert storage.local(url) == here
    assert asked == []
    fill(url, {"Videos/a.avi": "AA", "Videos/sub/new.avi": "n"})
    Place(url).remove("Videos/b.avi")
    storage.local(url)
    assert sorted(asked) == [("get", "Videos/a.avi"), ("get", "Videos/sub/new.avi")]
    assert on_disk(here) == there(url)
    Place(url).remove("Videos/sub/new.avi")
    storage.local(url)
    assert not (here / "Videos/sub").exists()


def test_a_copy_that_somebody_changed_is_replaced(url):
    fill(url, FILES)
    here = storage.local(url)
    (here / "Videos/a.avi").write_text("xx")
    storage.local(url)
    assert on_disk(here) == FILES


def test_a_stopped_download_continues_and_leaves_no_half_files(url, asked, monkeypatch):
    fill(url, FILES)
    left = iter(range(2))
    with monkeypatch.context() as broken:
        broken.setattr("echosyn.storage.place.FILES_AT_ONCE", 1)
        for kind in (LocalFileSystem, MemoryFileSystem):

            def get(fs, file, path, *, real=kind.get_file, **options):
                if next(left, None) is None:
                    Path(path).write_text(fs.cat_file(file).decode()[:-1])
                    raise KeyboardInterrupt
                return real(fs, file, path, **options)

            broken.setattr(kind, "get_file", get)
        with pytest.raises(KeyboardInterrupt):
            storage.local(url)
    assert len(on_disk(storage.cached(url))) == 2
    assert on_disk(storage.cached(url)).items() <= FILES.items()
    before = len(asked)
    assert on_disk(storage.local(url)) == FILES
    assert len(asked) - before == 2


def test_a_file_of_another_size_than_listed_is_refused(url, monkeypatch):
    fill(url, FILES)
    for kind in (LocalFileSystem, MemoryFileSystem):
        monkeypatch.setattr(kind, "get_file", lambda fs, a, b, **k: Path(b).write_text("something longer"))
    with pytest.raises(DataError, match="bytes came, expected"):
        storage.local(url)
    assert on_disk(storage.cached(url)) == {}


def test_a_single_file_is_a_place_too(url):
    fill(url, FILES)
    assert storage.local(f"{url}/FileList.csv").read_text() == FILES["FileList.csv"]
    fill(url, {"FileList.csv": "changed"})
    assert storage.local(f"{url}/FileList.csv").read_text() == "changed"


def test_where_nothing_is_there_is_no_folder(url):
    with pytest.raises(DataError, match="no such folder"):
        storage.local(url)


def test_names_cannot_lead_out_of_the_cache(monkeypatch):
    found = {"/hospital/set/../../x": {"type": "file", "size": 1}}
    monkeypatch.setattr(MemoryFileSystem, "find", lambda *a, **k: found)
    with pytest.raises(DataError, match="leads out"):
        storage.local("memory://hospital/set")
    with pytest.raises(ConfigError, match="names no folder"):
        storage.cached("s3://bucket/..")


def test_the_cache_is_for_its_owner_only(url, cache):
    fill(url, FILES)
    entry = storage.local(url).parent
    assert all(stat.S_IMODE(folder.stat().st_mode) == 0o700 for folder in (entry, cache / "objects"))


def test_an_output_is_what_was_made_and_nothing_stays_here(url):
    assert send(url) == storage.Finished(0, "made\n")
    assert there(url) == FILES
    assert not storage.cached(url).parent.exists()
    assert on_disk(storage.local(url)) == FILES


def test_provenance_comes_last(url, asked):
    send(url)
    assert [file for what, file in asked if what == "put"][-1] == "provenance.json"


def test_an_output_that_exists_is_refused_before_anything_is_made(url):
    fill(url, {"provenance.json": "{}"})
    with pytest.raises(DataError, match="exists already"):
        send(url, never)
    assert there(url) == {"provenance.json": "{}"}
    assert on_disk(storage.local(url)) == {"provenance.json": "{}"}


@pytest.mark.parametrize("arrived", range(5))
def test_an_upload_that_broke_off_is_not_whole_and_continues(url, asked, monkeypatch, arrived):
    with monkeypatch.context() as broken:
        break_off_at(arrived, broken)
        if arrived < len(FILES):
            with pytest.raises(DataError, match="run the same command again"):
                send(url)
            assert "provenance.json" not in there(url)
            assert MARKER in there(url)
        else:
            broken.setattr(Place, "remove", lambda place, file: (_ for _ in ()).throw(KeyboardInterrupt))
            with pytest.raises(KeyboardInterrupt):
                send(url)
    with pytest.raises(DataError, match="incomplete"):
        storage.local(url)
    before = [file for what, file in asked if what == "put"]
    assert send(url, never) == storage.Finished(0, "made\n")
    again = [file for what, file in asked if what == "put"][len(before) :]
    assert len(again) == len(FILES) - arrived
    assert there(url) == FILES


def test_a_stop_after_the_last_word_is_only_tidied(url, asked, monkeypatch):
    real = Place.remove

    def stopped(place, file):
        real(place, file)
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr(Place, "remove", stopped)
        with pytest.raises(KeyboardInterrupt):
            send(url)
    asked.clear()
    assert send(url, never).stdout == "made\n"
    assert asked == []
    assert there(url) == FILES
    assert not storage.cached(url).parent.exists()


def test_a_stop_while_the_local_copy_is_removed_harms_nothing(url, monkeypatch):
    def stopped(folder):
        (folder / "set/Videos/a.avi").unlink()
        (folder / "set/FileList.csv").write_text("half")
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr("echosyn.storage.upload.shutil.rmtree", stopped)
        with pytest.raises(KeyboardInterrupt):
            send(url)
    with pytest.raises(DataError, match="exists already"):
        send(url, never)
    assert on_disk(storage.local(url)) == there(url) == FILES


def test_a_finished_folder_of_another_call_is_not_thrown_away(url, monkeypatch):
    with monkeypatch.context() as broken:
        break_off_at(0, broken)
        with pytest.raises(DataError):
            send(url)
    with pytest.raises(DataError, match="of another command waits"):
        send(url, never, {"verb": "phantom", "values": {"seed": 1}})
    send(url, never)


def test_the_upload_of_somebody_else_is_left_alone(url, monkeypatch, tmp_path):
    with monkeypatch.context() as broken:
        break_off_at(2, broken)
        with pytest.raises(DataError):
            send(url)
    before = there(url)
    monkeypatch.setenv("ECHOSYN_CACHE", str(tmp_path / "another computer"))
    with pytest.raises(DataError, match="another upload"):
        send(url, never)
    assert there(url) == before


def test_a_file_that_somebody_changed_meanwhile_is_noticed(url, monkeypatch):
    real = Place.put

    def put(place, files, arrived):
        real(place, files, arrived)
        place.write("Videos/a.avi", "by somebody else")

    with monkeypatch.context() as broken:
        broken.setattr(Place, "put", put)
        with pytest.raises(DataError, match=r"first Videos/a\.avi"):
            send(url)
    assert MARKER in there(url)
    send(url, never)
    assert there(url) == FILES


def test_the_marker_of_somebody_else_in_the_same_moment_is_noticed(url, monkeypatch):
    real = Place.put

    def put(place, files, arrived):
        real(place, files, arrived)
        place.write(MARKER, "0" * len(place.read(MARKER)))

    with monkeypatch.context() as broken:
        broken.setattr(Place, "put", put)
        with pytest.raises(DataError, match="somebody else writes there"):
            send(url)
    with pytest.raises(DataError, match="incomplete"):
        storage.local(url)


def test_a_mistake_while_making_leaves_nothing(url):
    def wrong(folder):
        raise ConfigError("--num 0: expected at least 1")

    with pytest.raises(ConfigError):
        send(url, wrong)
    assert there(url) == {}
    assert not storage.cached(url).parent.exists()


def test_a_killed_command_finds_its_partial_folder_again(url):
    def killed(folder):
        partial = folder.with_name("set.partial")
        partial.mkdir()
        (partial / "half").write_text("half")
        raise KeyboardInterrupt

    def resumed(folder):
        assert (folder.with_name("set.partial") / "half").exists()
        return make(folder)

    with pytest.raises(KeyboardInterrupt):
        send(url, killed)
    send(url, resumed)


def test_a_kill_between_the_folder_and_its_record_is_as_if_it_came_before_the_renaming(url):
    def killed(folder):
        make(folder)
        raise KeyboardInterrupt

    def resumed(folder):
        assert not folder.exists()
        folder.with_name("set.partial").rename(folder)
        return storage.Finished()

    with pytest.raises(KeyboardInterrupt):
        send(url, killed)
    send(url, resumed)
    assert there(url) == FILES


def test_two_commands_cannot_write_one_folder(url):
    def while_writing(folder):
        with pytest.raises(DataError, match="another command on this computer"):
            send(url, never)
        return make(folder)

    send(url, while_writing)


def test_unknown_storage_and_missing_packages_name_the_cure(monkeypatch):
    with pytest.raises(ConfigError, match="expected s3://"):
        storage.local("nowhere://bucket/set")
    with pytest.raises(ConfigError, match="lists no folders"):
        storage.local("https://hospital.example/set")

    def missing(scheme):
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr("fsspec.get_filesystem_class", missing)
    with pytest.raises(MissingExtraError, match=r"pip install 'echosyn\[s3\]'"):
        storage.local("s3://bucket/set")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (FileNotFoundError("The specified bucket does not exist"), "no such folder, file or bucket"),
        (PermissionError("Access Denied"), "not allowed"),
        (ConnectionResetError("reset"), "does not answer as it should"),
        (TimeoutError(), "does not answer as it should"),
        (OSError(28, "No space left on device"), "disk is full"),
    ],
)
def test_faults_of_the_storage_are_one_line(url, monkeypatch, error, said):
    def find(*arguments, **options):
        raise error

    for kind in (LocalFileSystem, MemoryFileSystem):
        monkeypatch.setattr(kind, "find", find)
    with pytest.raises(DataError, match=said) as caught:
        storage.local(url)
    assert "\n" not in str(caught.value)
    assert url in str(caught.value)


def test_our_own_faults_are_not_called_the_storages(url, monkeypatch):
    for kind in (LocalFileSystem, MemoryFileSystem):
        monkeypatch.setattr(kind, "find", lambda *a, **k: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        storage.local(url)
