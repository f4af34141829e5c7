"""Whose fault it is: a damaged file's or this computer's."""

import errno
from types import SimpleNamespace

import av
import numpy as np
import psutil
import pytest

from echosyn.data import video


def refusing(code: int):
    def opening(*_: object, **__: object) -> object:
        raise av.error.err_check(-code)

    return opening


@pytest.mark.parametrize(
    ("code", "free", "is_the_files"),
    [(errno.ENOMEM, 8 << 30, True), (errno.ENOMEM, 1 << 20, False), (errno.EMFILE, 8 << 30, False)],
)
def test_a_header_that_asks_for_absurd_memory_is_the_files_fault(tmp_path, monkeypatch, code, free, is_the_files):
    (tmp_path / "a.mp4").write_bytes(b"?")
    monkeypatch.setattr(av, "open", refusing(code))
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=free))
    with pytest.raises(video.BadVideoError if is_the_files else av.error.FFmpegError) as caught:
        video.read(tmp_path / "a.mp4")
    assert isinstance(caught.value, video.BadVideoError) == is_the_files


def test_metadata_that_is_no_text_does_not_hide_the_pictures(tmp_path):
    with av.open(str(tmp_path / "a.mp4"), "w") as output:
        output.metadata["title"] = "TITLE" * 4
        stream = output.add_stream("libx264", rate=25)
        stream.height = stream.width = 32
        for _ in range(4):
            output.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")))
        output.mux(stream.encode())
    data = (tmp_path / "a.mp4").read_bytes()
    (tmp_path / "a.mp4").write_bytes(data.replace(b"TITLE", b"\xb0ITL\xff"))
    assert len(video.read(tmp_path / "a.mp4").frames) == 4
