"""Disk <-> arrays: dataset folders, videos, latents, the phantom. Knows no network."""
