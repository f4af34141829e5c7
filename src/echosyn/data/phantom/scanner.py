"""The scanner: scatterers to a polar radio-frequency field, envelope, log compression, fan."""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from echosyn import rng
from echosyn.data.phantom.cycle import Array
from echosyn.data.phantom.fan import NUM_LINES, NUM_RANGES, depths, fan, half_angle
from echosyn.data.phantom.mesh import Scatterers
from echosyn.data.phantom.parameters import SIZE, Patient, Probe

_NOISE_MARGIN = 32
_CHUNK = 8


def scan(patient: Patient, nodes: Array, scatterers: Scatterers) -> np.ndarray:
    """Image moving scatterers: uint8 ``(T, SIZE, SIZE)``, 0 outside of the fan.

    Args:
        patient: Whose probe is used.
        nodes: ``(T, num_nodes, 2)`` in cm from the fan's apex.
        scatterers: Points on these nodes.
    """
    num_frames = len(nodes)
    positions = torch.from_numpy(nodes).float().permute(1, 2, 0).reshape(nodes.shape[1], -1)
    points = F.embedding_bag(
        torch.from_numpy(scatterers.nodes),
        positions,
        per_sample_weights=torch.from_numpy(scatterers.weights),
        mode="sum",
    ).view(-1, 2, num_frames)
    x, y = points[:, 0].T.contiguous(), points[:, 1].T.contiguous()
    near, far = depths(patient)
    ranges_per_cm = (NUM_RANGES - 1) / (far - near)
    lines_per_radian = (NUM_LINES - 1) / (2 * half_angle(patient))
    r = (torch.hypot(x, y) - near) * ranges_per_cm
    a = torch.atan2(x, y) * lines_per_radian + NUM_LINES / 2

    generator = rng.numpy_generator(patient.seed, "phantom noise", patient.index)
    amplitude = torch.view_as_real(torch.from_numpy(scatterers.amplitude)) * (ranges_per_cm * lines_per_radian) ** 0.5
    receiver = _Receiver.of(patient, generator)
    converter = fan(patient)
    frames = torch.zeros(num_frames, SIZE * SIZE, dtype=torch.uint8)
    for start in range(0, num_frames, _CHUNK):
        chunk = slice(start, start + _CHUNK)
        grey = receiver.develop(_splat(r[chunk], a[chunk], amplitude), generator)
        frames[chunk, converter.pixels] = converter(grey).to(torch.uint8)
    return frames.view(num_frames, SIZE, SIZE).numpy()


def _splat(r: Tensor, a: Tensor, amplitude: Tensor) -> Tensor:
    """Add up scatterers ``(T, N)`` in the polar grid: ``(NUM_RANGES + 2, 2, T, NUM_LINES + 2)``, linear in range.

    The two parts are real and imaginary; the border of one cell catches what lies outside.
    """
    num_frames = len(r)
    row = 2 * num_frames * (NUM_LINES + 2)
    r = r.clamp(-1, NUM_RANGES - 0.001) + 1
    low = r.floor()
    part = r - low
    index = low.int() * row + a.clamp(-1, NUM_LINES).add_(1).int()
    index += torch.arange(num_frames, dtype=torch.int32)[:, None] * (NUM_LINES + 2)
    field = torch.zeros((NUM_RANGES + 2) * row)
    for c in range(2):
        upper = amplitude[:, c] * part
        field.index_add_(0, index.view(-1), (amplitude[:, c] - upper).view(-1))
        field[row:].index_add_(0, index.view(-1), upper.view(-1))
        index += num_frames * (NUM_LINES + 2)
    return field.view(NUM_RANGES + 2, 2, num_frames, NUM_LINES + 2)


@dataclass(frozen=True)
class _Receiver:
    """Everything between the field of scatterers and the grey levels that does not change during a recording."""

    probe: Probe
    axial: Tensor
    """``(R, R + 2)``: the pulse."""
    lateral: Tensor
    """``(L + 2, L)``: the beam."""
    attenuation: Tensor
    """``(R, 1, 1, L)``: shadows."""
    clutter: Tensor
    """``(R, 2, 1, L)``: echoes that do not move."""
    noise: Tensor
    """``(2, R + margin, L + margin)``: of unit power, each frame takes another part."""
    haze: Tensor
    """``(R, 1)``: amplitude of the noise."""
    smoothing: tuple[Tensor, Tensor]
    """``(R, R)`` and ``(L, L)``: average power over neighbours, as compounding does."""
    gain: Tensor
    """``(R, 1, 1)``: grey level of 0 dB before the curve."""

    @classmethod
    def of(cls, patient: Patient, generator: np.random.Generator) -> "_Receiver":
        probe = patient.probe
        depth = np.linspace(0, 1, NUM_RANGES)[:, None]
        angle = np.linspace(-1, 1, NUM_LINES)
        beam = _band(NUM_LINES, probe.lateral) + probe.side_lobes * _band(NUM_LINES, 4 * probe.lateral)
        shadow = probe.shadow_left * (-angle).clip(0) ** 2 + probe.shadow_right * angle.clip(0) ** 2
        shadow = shadow + 3 * _smooth(generator, NUM_LINES, 7).clip(-1) * depth**0.5
        shape = (2, NUM_RANGES + _NOISE_MARGIN, NUM_LINES + _NOISE_MARGIN)
        noise = _band(shape[1], 0.7) @ generator.standard_normal(shape) @ _band(shape[2], 0.7)
        still = _band(NUM_RANGES, 1.2) @ generator.standard_normal((2, NUM_RANGES, NUM_LINES)) @ _band(NUM_LINES, 6)
        clutter = still * 10 ** ((probe.clutter - 75 * depth + 12 * np.exp(-depth * 25)) / 20)
        haze = 10 ** ((probe.haze + probe.haze_slope * depth) / 20)
        gain = probe.gain + probe.gain_slope * (depth - 0.4) / probe.dynamic_range
        smooth = (_band(n, sigma) for n, sigma in ((NUM_RANGES, 0.45), (NUM_LINES, 0.45)))
        along, across = (m / m.sum(1, keepdims=True) for m in smooth)
        return cls(
            probe=probe,
            axial=_tensor(np.pad(_band(NUM_RANGES, probe.axial), ((0, 0), (1, 1)))),
            lateral=_tensor(np.pad(beam, ((1, 1), (0, 0)))),
            attenuation=_tensor(10 ** (-shadow[:, None, None] / 20)),
            clutter=_tensor(clutter.transpose(1, 0, 2)[:, :, None]),
            noise=_tensor(noise / np.sqrt(2)),
            haze=_tensor(haze),
            smoothing=(_tensor(along), _tensor(across.T)),
            gain=_tensor(gain[:, None]),
        )

    def develop(self, field: Tensor, generator: np.random.Generator) -> Tensor:
        """Beam-form, add noise, detect and compress: ``(R + 2, 2, T, L + 2)`` -> grey ``(R, T, L)`` in 0..255."""
        num_frames = field.shape[2]
        echo = (self.axial @ field.view(NUM_RANGES + 2, -1)).view(-1, NUM_LINES + 2) @ self.lateral
        echo = echo.view(NUM_RANGES, 2, num_frames, NUM_LINES)
        echo.mul_(self.attenuation).add_(self.clutter)
        for t, (i, j) in enumerate(generator.integers(0, _NOISE_MARGIN, (num_frames, 2))):
            for c in range(2):
                noise = self.noise[c, i : i + NUM_RANGES, j : j + NUM_LINES]
                echo[:, c, t].addcmul_(noise, self.haze)
        power = echo[:, 0].square().addcmul_(echo[:, 1], echo[:, 1])
        along, across = self.smoothing
        power = (along @ power.view(NUM_RANGES, -1)).view(-1, NUM_LINES) @ across
        level = power.add_(1e-9).log10_().view(NUM_RANGES, num_frames, NUM_LINES)
        level = level.mul_(10 / self.probe.dynamic_range).add_(self.gain)
        return level.clamp_(0, 1).pow_(self.probe.curve).mul_(255)


def _tensor(array: Array) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array)).float()


def _band(num: int, sigma: float) -> Array:
    """A Gaussian filter as a matrix whose rows keep the power of white noise."""
    i = np.arange(num)
    kernel = np.exp(-((i[:, None] - i[None, :]) ** 2) / (2 * sigma**2))
    kernel[kernel < 1e-5] = 0  # numbers near the smallest float32 make products a hundred times slower
    result: Array = kernel / np.sqrt((np.exp(-(np.arange(-num, num) ** 2) / sigma**2)).sum())
    return result


def _smooth(generator: np.random.Generator, num: int, waves: int) -> Array:
    """A slow random curve of unit variance."""
    x = np.linspace(0, 1, num)
    k = np.arange(1, waves + 1)
    size = generator.standard_normal(waves)
    result: Array = (
        np.sqrt(2 / waves) * size @ np.cos(np.pi * k[:, None] * x + 2 * np.pi * generator.random(waves)[:, None])
    )
    return result
