"""Screens for stills and videos, calibrated on held-out patients."""
