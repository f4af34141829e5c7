"""The scanner: scatterers to a polar radio-frequency field, envelope, log compression, fan."""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from echosyn import rng
from echosyn.data.phantom.clutter import cloud
from echosyn.data.phantom.cycle import Array
from echosyn.data.phantom.fan import GRIDS, Fan, depths, fan, half_angle
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
    grid = num_ranges, num_lines = GRIDS[patient.look]
    ranges_per_cm = (num_ranges - 1) / (far - near)
    lines_per_radian = (num_lines - 1) / (2 * half_angle(patient))
    r = (torch.hypot(x, y) - near) * ranges_per_cm
    a = torch.atan2(x, y) * lines_per_radian + num_lines / 2

    generator = rng.numpy_generator(patient.seed, "phantom noise", patient.index)
    amplitude = torch.view_as_real(torch.from_numpy(scatterers.amplitude)) * (ranges_per_cm * lines_per_radian) ** 0.5
    receiver = _Receiver.of(patient, generator)
    converter = fan(patient)
    frames = torch.zeros(num_frames, SIZE * SIZE, dtype=torch.uint8)
    for start in range(0, num_frames, _CHUNK):
        chunk = slice(start, start + _CHUNK)
        grey = receiver.develop(_splat(r[chunk], a[chunk], amplitude, grid), generator)
        frames[chunk, converter.pixels] = enhance(converter, converter(grey), patient.probe.sharpness).to(torch.uint8)
    return frames.view(num_frames, SIZE, SIZE).numpy()


def enhance(fan: Fan, grey: Tensor, sharpness: float) -> Tensor:
    """Add what each pixel ``(T, P)`` has over the mean of its neighbours in the fan; levels stay in 0..255."""
    if not sharpness:
        return grey
    image = grey.new_zeros(len(grey) + 1, SIZE * SIZE)
    image[:-1, fan.pixels] = grey
    image[-1, fan.pixels] = 1.0
    kernel = torch.tensor([[1.0, 2.0, 1.0]]) / 4
    mean = F.conv2d(image.view(-1, 1, SIZE, SIZE), (kernel.T * kernel)[None, None], padding=1)
    mean = mean.view(len(image), -1)[:, fan.pixels]
    return (grey + sharpness * (grey - mean[:-1] / mean[-1])).clamp_(0, 255)


def _splat(r: Tensor, a: Tensor, amplitude: Tensor, grid: tuple[int, int]) -> Tensor:
    """Add up scatterers ``(T, N)`` in the polar grid: ``(num_ranges + 2, 2, T, num_lines + 2)``, linear in range.

    The two parts are real and imaginary; the border of one cell catches what lies outside.
    """
    num_frames, (num_ranges, num_lines) = len(r), grid
    row = 2 * num_frames * (num_lines + 2)
    r = r.clamp(-1, num_ranges - 0.001) + 1
    low = r.floor()
    part = r - low
    index = low.int() * row + a.clamp(-1, num_lines).add_(1).int()
    index += torch.arange(num_frames, dtype=torch.int32)[:, None] * (num_lines + 2)
    field = torch.zeros((num_ranges + 2) * row)
    for c in range(2):
        upper = amplitude[:, c] * part
        field.index_add_(0, index.view(-1), (amplitude[:, c] - upper).view(-1))
        field[row:].index_add_(0, index.view(-1), upper.view(-1))
        index += num_frames * (num_lines + 2)
    return field.view(num_ranges + 2, 2, num_frames, num_lines + 2)


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
    """``(R, 1 or L)``: amplitude of the noise."""
    smoothing: tuple[Tensor, Tensor]
    """``(R, R)`` and ``(L, L)``: average power over neighbours, as compounding does."""
    mixing: tuple[Tensor, Tensor]
    """Likewise, over a wider neighbourhood: looks from other angles, of which `Probe.compounding` is mixed in."""
    gain: Tensor
    """``(R, 1, 1)``: grey level of 0 dB before the curve."""

    @classmethod
    def of(cls, patient: Patient, generator: np.random.Generator) -> "_Receiver":
        probe, (num_ranges, num_lines) = patient.probe, GRIDS[patient.look]
        depth = np.linspace(0, 1, num_ranges)[:, None]
        angle = np.linspace(-1, 1, num_lines)
        beam = _band(num_lines, probe.lateral) + probe.side_lobes * _band(num_lines, 4 * probe.lateral)
        shadow = probe.shadow_left * (-angle).clip(0) ** 2 + probe.shadow_right * angle.clip(0) ** 2
        shadow = shadow + probe.shade * _smooth(generator, num_lines, 7).clip(-1) * depth**0.5
        shape = (2, num_ranges + _NOISE_MARGIN, num_lines + _NOISE_MARGIN)
        noise = _band(shape[1], 0.7) @ generator.standard_normal(shape) @ _band(shape[2], 0.7)
        still = _band(num_ranges, 1.2) @ generator.standard_normal((2, num_ranges, num_lines)) @ _band(num_lines, 6)
        clutter = still * 10 ** ((probe.clutter - 75 * depth + probe.near_field * np.exp(-depth * 25)) / 20)
        haze = 10 ** ((probe.haze + probe.haze_slope * depth) / 20)
        if probe.cloud:
            clouds = 10 ** (cloud(generator, num_ranges, num_lines, probe.cloud) / 20)
            clutter, haze = clutter * clouds, haze * clouds
        gain = probe.gain + probe.gain_slope * (depth - 0.4) / probe.dynamic_range
        smooth = (_band(n, sigma) for n, sigma in ((num_ranges, 0.45), (num_lines, 0.45)))
        along, across = (m / m.sum(1, keepdims=True) for m in smooth)
        wide = (_band(num_ranges, 1.3), _band(num_lines, 2.0))
        far, aside = (m / m.sum(1, keepdims=True) for m in wide)
        return cls(
            probe=probe,
            axial=_tensor(np.pad(_band(num_ranges, probe.axial * (1 + probe.pulse_growth * depth)), ((0, 0), (1, 1)))),
            lateral=_tensor(np.pad(beam, ((1, 1), (0, 0)))),
            attenuation=_tensor(10 ** (-shadow[:, None, None] / 20)),
            clutter=_tensor(clutter.transpose(1, 0, 2)[:, :, None]),
            noise=_tensor(noise / np.sqrt(2)),
            haze=_tensor(haze),
            smoothing=(_tensor(along), _tensor(across.T)),
            mixing=(_tensor(far), _tensor(aside.T)),
            gain=_tensor(gain[:, None]),
        )

    def develop(self, field: Tensor, generator: np.random.Generator) -> Tensor:
        """Beam-form, add noise, detect and compress: ``(R + 2, 2, T, L + 2)`` -> grey ``(R, T, L)`` in 0..255."""
        num_ranges, num_lines, num_frames = len(self.axial), self.lateral.shape[1], field.shape[2]
        echo = (self.axial @ field.view(num_ranges + 2, -1)).view(-1, num_lines + 2) @ self.lateral
        echo = echo.view(num_ranges, 2, num_frames, num_lines)
        echo.mul_(self.attenuation).add_(self.clutter)
        for t, (i, j) in enumerate(generator.integers(0, _NOISE_MARGIN, (num_frames, 2))):
            for c in range(2):
                noise = self.noise[c, i : i + num_ranges, j : j + num_lines]
                echo[:, c, t].addcmul_(noise, self.haze)
        power = echo[:, 0].square().addcmul_(echo[:, 1], echo[:, 1])
        along, across = self.smoothing
        power = (along @ power.view(num_ranges, -1)).view(-1, num_lines) @ across
        if self.probe.compounding:
            far, aside = self.mixing
            power = power.lerp((far @ power.view(num_ranges, -1)).view(-1, num_lines) @ aside, self.probe.compounding)
        level = power.add_(1e-9).log10_().view(num_ranges, num_frames, num_lines)
        level = level.mul_(10 / self.probe.dynamic_range).add_(self.gain)
        return level.clamp_(0, 1).pow_(self.probe.curve).mul_(255)


def _tensor(array: Array) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array)).float()


def _band(num: int, sigma: float | Array) -> Array:
    """A Gaussian filter as a matrix whose rows keep the power of white noise; ``sigma`` of all rows, or ``(num, 1)``."""
    i = np.arange(num)
    kernel = np.exp(-((i[:, None] - i[None, :]) ** 2) / (2 * sigma**2))
    kernel[kernel < 1e-5] = 0  # numbers near the smallest float32 make products a hundred times slower
    result: Array = kernel / np.sqrt((np.exp(-(np.arange(-num, num) ** 2) / sigma**2)).sum(-1, keepdims=True))
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
