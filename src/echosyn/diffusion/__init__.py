"""Objectives, windows, guidance, samplers and pipelines: formulas and sampling; knows no disk."""
