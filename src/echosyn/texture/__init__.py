"""Speckle for decoded videos: what a decoder leaves out, drawn from the statistics of recordings (docs/adr/0074).

A decoder gives about the mean of what a latent may stand for, so its frames have no grain. `fit` learns, from pairs of recorded
and decoded videos, how a recorded grey level is distributed given the decoded frame and how its normal scores correlate in depth,
angle and time; `Texture.lay` draws from that.
"""

from echosyn.texture.fitting import fit
from echosyn.texture.sector import Sector
from echosyn.texture.texture import Texture

__all__ = ["Sector", "Texture", "fit"]
