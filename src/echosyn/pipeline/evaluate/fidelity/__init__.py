"""Distances between real and synthetic videos."""
