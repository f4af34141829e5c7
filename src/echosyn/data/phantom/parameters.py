"""Every number that makes one phantom patient, and the range it is drawn from."""

from dataclasses import dataclass, field
from typing import Any, Literal

View = Literal["A4C", "PSAX"]
"""Apical four-chamber or parasternal short-axis."""

SIZE = 112
"""Height and width of a frame in pixels, as in EchoNet-Dynamic."""


Look = Literal["plain", "clinical"]
"""How varied: ``clinical`` has the geometry, contrast, artefacts and shapes of recordings from clinics."""


def _drawn(low: float, high: float, clinical: tuple[float, float] | None = None) -> Any:
    """A field that is drawn uniformly from ``low..high``, or in the clinical look from another range."""
    return field(metadata={"plain": (low, high), "clinical": clinical or (low, high)})


def _clinical(low: float, high: float, plain: float = 0.0) -> Any:
    """A field that is drawn in the clinical look alone, and has the value ``plain`` in the other."""
    return field(metadata={"plain": plain, "clinical": (low, high)})


@dataclass(frozen=True)
class Anatomy:
    """Shape of the heart. Lengths in cm at end-diastole unless said otherwise."""

    elongation: float = _drawn(1.4, 1.85, clinical=(1.3, 2.0))
    """Long axis over diameter (A4C)."""
    widest: float = _drawn(0.52, 0.7, clinical=(0.4, 0.85))
    """Where along the long axis (0 apex, 1 base) the ventricle is widest."""
    apex_bluntness: float = _drawn(0.4, 0.56, clinical=(0.36, 0.6))
    """Exponent of the apex: 0.5 is an ellipse, less is blunter."""
    annulus_narrowing: float = _drawn(0.1, 0.3, clinical=(0.05, 0.4))
    """How much narrower the mitral annulus is than the widest place, 0..1."""
    bend: float = _drawn(-0.03, 0.24, clinical=(-0.12, 0.3))
    """Sideways bow of the long axis over the radius; the tracing's chords bow with it."""
    tilt: float = _drawn(-0.1, 0.2, clinical=(-0.2, 0.3))
    """Rotation of the heart in the image, radians; positive moves the base to the right (A4C)."""
    longitudinal: float = _drawn(0.2, 0.32, clinical=(0.2, 0.6))
    """Relative shortening of the long axis for a stroke volume of the whole cavity (A4C)."""
    wall: float = _drawn(0.65, 1.1, clinical=(0.5, 1.5))
    """Thickness of the myocardium."""
    septum: float = _drawn(0.85, 1.2, clinical=(0.6, 1.1))
    """Thickness of the septum over that of the lateral wall."""
    apex_thinning: float = _drawn(0.55, 0.85, clinical=(0.6, 1.4))
    """Thickness of the wall at the apex over that at the base."""
    rv_width: float = _drawn(0.7, 1.15, clinical=(0.6, 1.3))
    """Width of the right ventricle over the left one's diameter."""
    rv_reach: float = _drawn(0.3, 0.55, clinical=(0.3, 0.8))
    """Where the right ventricle ends towards the apex (0 at the apex, 1 at the base)."""
    rv_bulge: float = _drawn(0.25, 0.55)
    """How far its free wall bulges, over its width."""
    la_length: float = _drawn(3.0, 4.6)
    """From the mitral annulus to the roof of the left atrium."""
    ra_depth: float = _drawn(-1.0, 0.6)
    """How much deeper the roof of the right atrium lies than that of the left."""
    atrial_lean: float = _drawn(-0.7, 1.2, clinical=(-1.0, 1.5))
    """How far the atria's roofs lie to the right of their valves."""
    atrial_squareness: float = _drawn(0.5, 0.9)
    """Exponent of the atria's outline: 1 is an ellipse, less is boxier."""
    la_bulge: float = _drawn(0.0, 0.7)
    """How far the left atrium bulges beyond the annulus."""
    ra_bulge: float = _drawn(0.0, 0.7)
    """How far the right atrium bulges beyond the annulus."""
    leaflet: float = _drawn(0.46, 0.56)
    """Length of a mitral leaflet over the annulus."""
    roundness: float = _drawn(0.86, 0.99)
    """Short over long diameter of the cavity (PSAX)."""
    orientation: float = _drawn(-0.6, 0.6)
    """Direction of the long diameter, radians from the vertical (PSAX)."""
    length_ratio: float = _drawn(1.55, 1.9)
    """Length over diameter of the ventricle, for the volume in ml (PSAX)."""
    twist: float = _drawn(-0.06, 0.2)
    """Rotation of the myocardium for a stroke volume of the whole cavity, radians (PSAX)."""
    papillary: float = _drawn(0.2, 0.34)
    """Radius of the papillary muscles over that of the cavity."""
    papillary_spread: float = _drawn(0.5, 1.0)
    """Angle of the papillary muscles from the vertical, radians (PSAX)."""
    trabeculae: float = _clinical(0.0, 12.0)
    """At most so many pieces of muscle on the inside of the left ventricle."""
    taper: float = _clinical(0.0, 0.7)
    """How much more the apex narrows than the base for a stroke volume of the whole cavity (A4C)."""
    apex_closing: float = _clinical(0.0, 1.6)
    """How far trabeculae close the apex for a stroke volume of the whole cavity, over the wall (A4C)."""
    trabecular: float = _clinical(0.1, 0.4, plain=0.3)
    """Part of the wall on its inside that is trabeculae (A4C)."""
    trabecular_growth: float = _clinical(0.0, 0.9)
    """How much larger that part is for a stroke volume of the whole cavity (A4C)."""
    tenting: float = _clinical(0.05, 0.8, plain=0.28)
    """Angle of closed mitral leaflets towards the apex, radians (A4C)."""


@dataclass(frozen=True)
class Brightness:
    """Echo strength of the tissues in dB against standard myocardium."""

    septum: float = _drawn(3.0, 12.0)
    lateral: float = _drawn(-8.0, 3.0, clinical=(-14.0, 6.0))
    apex: float = _drawn(-9.0, 0.0, clinical=(-20.0, 2.0))
    right_ventricle: float = _drawn(-9.0, 0.0, clinical=(-14.0, 2.0))
    atria: float = _drawn(-14.0, -3.0, clinical=(-22.0, -4.0))
    annulus: float = _drawn(6.0, 14.0, clinical=(2.0, 16.0))
    valve: float = _drawn(1.0, 12.0, clinical=(-4.0, 13.0))
    pericardium: float = _drawn(6.0, 17.0, clinical=(4.0, 20.0))
    surroundings: float = _drawn(-4.0, 5.0, clinical=(-6.0, 9.0))
    far_field: float = _drawn(-8.0, 8.0, clinical=(-12.0, 12.0))
    unevenness: float = _drawn(2.0, 5.0, clinical=(3.0, 7.0))
    """Standard deviation of the slow changes inside a tissue."""
    streaks: float = _drawn(2.0, 5.0, clinical=(2.0, 6.0))
    """Standard deviation of the fine changes, which follow the arcs of equal depth."""
    near_tissue: float = _clinical(-6.0, 11.0, plain=11.0)
    """Tissue close to the probe over that at depth."""
    inner_edge: float = _clinical(-14.0, 3.0, plain=1.5)
    """Inside of the left ventricle's wall over its middle; dim where trabeculae and blood mix."""
    trabecular: float = _clinical(-14.0, 2.0)
    """The trabecular part of the left ventricle's wall over its middle."""
    patches: float = _clinical(0.0, 4.0)
    """Standard deviation of changes over some millimetres."""


@dataclass(frozen=True)
class Probe:
    """Geometry and settings of the scanner."""

    sector: float = _drawn(65.0, 95.0, clinical=(80.0, 91.0))
    """Full angle of the fan, degrees."""
    apex_x: float = _drawn(51.0, 61.0, clinical=(60.5, 63.0))
    """Column of the fan's apex, pixels."""
    apex_y: float = _drawn(1.0, 9.0, clinical=(3.0, 7.0))
    """Row of the fan's apex, pixels."""
    reach: float = _drawn(100.0, 118.0, clinical=(107.0, 113.0))
    """Radius of the fan, pixels; beyond the frame it is cropped."""
    footprint: float = _drawn(1.0, 5.0, clinical=(2.0, 7.0))
    """Radius of the probe's face, pixels."""
    heart_x: float = _drawn(-3.0, 9.0, clinical=(-16.0, 6.0))
    """Column of the heart's top against the fan's apex, pixels."""
    heart_y: float = _drawn(9.0, 16.0, clinical=(6.0, 32.0))
    """Row of the cavity's top against the fan's apex, pixels."""
    heart_pixels: float = _drawn(56.0, 70.0, clinical=(38.0, 70.0))
    """Length of the left ventricle (A4C), 1.4 times its diameter (PSAX), pixels: sets the depth of the scan."""
    axial: float = _drawn(0.5, 0.8, clinical=(0.45, 0.7))
    """Standard deviation of the pulse, range bins."""
    lateral: float = _drawn(0.7, 1.2, clinical=(0.9, 1.6))
    """Standard deviation of the beam, lines."""
    side_lobes: float = _drawn(0.02, 0.07, clinical=(0.02, 0.15))
    """Amplitude of a four times wider beam."""
    dynamic_range: float = _drawn(40.0, 54.0, clinical=(42.0, 58.0))
    """dB from black to white."""
    gain: float = _drawn(0.54, 0.7, clinical=(0.5, 0.68))
    """Grey level of standard myocardium before the curve, 0..1."""
    curve: float = _drawn(1.4, 2.0, clinical=(1.3, 1.9))
    """Exponent of the grey curve; more is darker."""
    haze: float = _drawn(-28.0, -12.0, clinical=(-40.0, -14.0))
    """Noise in blood, dB."""
    haze_slope: float = _drawn(-18.0, -3.0, clinical=(-20.0, 6.0))
    """Further noise at the deepest range, dB."""
    clutter: float = _drawn(-13.0, 0.0, clinical=(-16.0, 0.0))
    """Reverberation close to the probe, dB."""
    gain_slope: float = _drawn(-5.0, 4.0, clinical=(-10.0, 10.0))
    """Time gain compensation error from the probe to the deepest range, dB."""
    shadow_left: float = _drawn(0.0, 12.0, clinical=(0.0, 22.0))
    """Attenuation at the left edge of the fan, dB."""
    shadow_right: float = _drawn(2.0, 16.0, clinical=(0.0, 22.0))
    """Attenuation at the right edge of the fan, dB."""
    arcs: float = _clinical(0.0, 5.0)
    """At most so many echoes along arcs of equal depth."""
    cloud: float = _clinical(3.0, 12.0)
    """Standard deviation over the fan of clutter and noise, dB."""
    shade: float = _clinical(3.0, 8.0, plain=3.0)
    """Standard deviation of shadows of single beams, dB at the deepest range."""
    near_field: float = _clinical(-10.0, 8.0, plain=12.0)
    """Further reverberation at the probe's face, dB."""
    pulse_growth: float = _clinical(0.6, 1.6)
    """How much longer the pulse is at the deepest range, over its length at the probe, less 1."""
    compounding: float = _clinical(0.05, 0.35)
    """Part of the power that is averaged over neighbours, as spatial compounding does, 0..1."""
    sharpness: float = _clinical(0.5, 0.9)
    """Edge enhancement: how much of an image's detail below a pixel's neighbourhood is added to it."""


@dataclass(frozen=True)
class Patient:
    """One phantom patient and the recording made of them; everything follows from these numbers."""

    seed: int
    index: int
    view: View
    ef: float
    """Ejection fraction in percent."""
    edv: float
    """End-diastolic volume of the left ventricle in ml."""
    heart_rate: float
    """Mean beats per minute."""
    fps: float
    """Frames per second."""
    num_frames: int
    start: float
    """Where in the heart beat the recording starts, 0..1 from end-diastole."""
    early_filling: float
    """Part of the stroke volume that flows in before the atrial kick, 0..1."""
    irregularity: float
    """Relative standard deviation of the beats' durations."""
    drift: float
    """Movement of the probe in cm."""
    spacing: float
    """Size of a pixel in cm."""
    anatomy: Anatomy
    brightness: Brightness
    probe: Probe
    look: Look = "plain"

    @property
    def esv(self) -> float:
        """End-systolic volume of the left ventricle in ml."""
        return self.edv * (1 - self.ef / 100)
