"""A procedural echocardiogram whose ejection fraction is known exactly.

Scatterers ride on a beating heart, a simulated scanner images them; ``patient`` draws who, ``render`` makes the video,
``tracings``, ``volumes`` and ``lv_mask`` are its ground truth.
"""

from echosyn.data.phantom.drawing import patient
from echosyn.data.phantom.parameters import Anatomy, Brightness, Look, Patient, Probe, View
from echosyn.data.phantom.recording import lv_mask, record, render, tracings, volumes

__all__ = [
    "Anatomy",
    "Brightness",
    "Look",
    "Patient",
    "Probe",
    "View",
    "lv_mask",
    "patient",
    "record",
    "render",
    "tracings",
    "volumes",
]
