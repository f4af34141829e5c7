"""Versioned evaluation protocols."""
