"""Embeddings in, decisions out: matching, calibration, filter. Knows no disk and no network."""
