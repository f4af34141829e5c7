"""Video files <-> arrays of pixels, with PyAV: frames are decoded and counted, headers never trusted.

What a file shows when it is played is what is read: in the order and at the times of its time stamps, upright, with
square pixels.
"""

from echosyn.data.frames import Frames
from echosyn.data.timing import Times
from echosyn.data.video.containers import EXTENSIONS, BadVideoError, Fault
from echosyn.data.video.pixels import ONE_THREAD
from echosyn.data.video.reading import Origin, Video, probe, read, size, survey
from echosyn.data.video.writing import exact_fps, verify, write_avi, write_gif, write_images, write_mp4

__all__ = [
    "EXTENSIONS",
    "ONE_THREAD",
    "BadVideoError",
    "Fault",
    "Frames",
    "Origin",
    "Times",
    "Video",
    "exact_fps",
    "probe",
    "read",
    "size",
    "survey",
    "verify",
    "write_avi",
    "write_gif",
    "write_images",
    "write_mp4",
]
