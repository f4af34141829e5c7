"""echosyn: a folder of private echo videos in, a synthetic dataset out, with proof."""

__version__ = "0.1.0"
