"""Folders of object storage: an input is mirrored into a cache, an output is made there and sent whole or not at all."""

from echosyn.storage.mirror import local
from echosyn.storage.place import cached
from echosyn.storage.upload import Finished, output

__all__ = ["Finished", "cached", "local", "output"]
