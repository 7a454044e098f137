"""Where everybody sits and every microphone stands, and what that alone says of the room: covariances without a sound.

A player is heard directly, from one direction and weaker with distance, and through the room, from all directions
alike. Per frequency that gives a covariance of the microphones (direct plus diffuse: Duong, Vincent & Gribonval,
"Under-determined reverberant audio source separation using a full-rank spatial covariance model", IEEE TASLP 18, 2010,
equations 6 and 7), from first-order polar patterns and the reverberation time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Complex, Float
from torch import Tensor

from ..errors import OptionError, nearest

Point = tuple[float, float, float]
"""Metres from a corner of the hall: width, depth, height."""

PATTERNS = {"figure-eight": 0.0, "hypercardioid": 0.25, "cardioid": 0.5, "subcardioid": 0.75, "omni": 1.0}
"""Share of the pressure in a first-order microphone; the rest is pressure gradient."""

SPEED_OF_SOUND = 343.0
"""Metres a second."""

_DIRECTIONS = 256
_NEAREST_M = 0.1
_UNSURE_M = 0.1
"""Error of a way that is measured by hand; of microphones closer together at most a quarter of their distance.

With it in mind, players told apart by a plan that is 10 cm off lost 1 dB in a simulated hall, without it 6.
"""

_UNSURE = 0.01
"""Share of the power that no ideal microphone at an exact place would hear."""


@dataclass(frozen=True)
class Capsule:
    """A microphone with a place, an aim and a first-order polar pattern.

    Attributes
    ----------
    position_m
        Where it stands.
    aim
        Direction of its axis (any length, not zero).
    pattern
        A key of :data:`PATTERNS`.
    """

    position_m: Point
    aim: Point = (0.0, 1.0, 0.0)
    pattern: str = "cardioid"

    def gain(self, towards_X3: np.ndarray) -> np.ndarray:
        """Return the gain for sound from directions of any length, shape (X,)."""
        pressure, aim = PATTERNS[self.pattern], np.asarray(self.aim) / np.linalg.norm(self.aim)
        return pressure + (1 - pressure) * (towards_X3 @ aim) / np.linalg.norm(towards_X3, axis=-1)


@dataclass(frozen=True)
class Hall:
    """An empty box with equal walls.

    Attributes
    ----------
    size_m
        Width, depth and height.
    rt60_s
        Time in which its reverberation falls by 60 dB (Sabine).
    """

    size_m: Point = (12.0, 16.0, 6.0)
    rt60_s: float = 0.9

    @property
    def critical_m(self) -> float:
        """Distance at which the direct sound of a source is as strong as its reverberation."""
        return 0.057 * float(np.sqrt(np.prod(self.size_m) / self.rt60_s))


@dataclass(frozen=True)
class Plan:
    """Seats, microphones and the hall.

    Attributes
    ----------
    seats_m
        Where the players sit, by id.
    capsules
        The microphones, in the order of the recording's.
    hall
        The room around them.
    """

    seats_m: Mapping[str, Point]
    capsules: tuple[Capsule, ...]
    hall: Hall

    @classmethod
    def read(
        cls, setup: Mapping[str, object], microphones: Sequence[str], spots: Mapping[str, str], ids: Sequence[str]
    ) -> Plan:
        """Return the plan that a ``session.toml`` holds.

        Without an aim a player's spot is aimed at the player, any other microphone at the middle of all of them.

        Parameters
        ----------
        setup
            Its tables; see :mod:`partbook.audio.session`.
        microphones
            Names of the microphones, in order.
        spots
            Id of the player whose spot a microphone is, by its name.
        ids
            The players.

        Raises
        ------
        OptionError
            If a position is missing, or a pattern unknown.
        """
        seats_m = {str(each["name"]).lower(): each.get("position_m") for each in setup.get("source", ())}
        told = {str(each["name"]): each for each in setup.get("microphone", ())}
        lost = [id for id in ids if seats_m.get(id) is None]
        lost += [name for name in microphones if "position_m" not in told.get(name, {})]
        if lost:
            hint = "position_m = [1.0, 2.0, 1.2] in session.toml, or --start spot"
            raise OptionError("a position of everybody for a seating plan", f"none of {', '.join(lost)}", hint)
        middle_m = np.mean([seats_m[id] for id in ids], axis=0)
        capsules = []
        for name in microphones:
            entry, place_m = told[name], told[name]["position_m"]
            pattern = str(entry.get("pattern", Capsule.pattern)).lower()
            if pattern not in PATTERNS:
                raise OptionError(f"a polar pattern of {name}", f"{pattern!r}", nearest(pattern, PATTERNS))
            target_m = seats_m.get(spots.get(name, "")) or middle_m
            aim = np.asarray(entry.get("aim", np.subtract(target_m, place_m)), float)
            capsules.append(Capsule(tuple(place_m), tuple(aim if aim.any() else Capsule.aim), pattern))
        return cls({id: tuple(seats_m[id]) for id in ids}, tuple(capsules), Hall(**_hall(setup.get("room", {}))))

    def covariances(
        self, ids: Sequence[str], rows: Sequence[int], bins_hz: Float[Tensor, " F"]
    ) -> Complex[Tensor, "F N M M"]:
        """Return the covariance of microphones ``rows`` while each of the players sounds alone.

        Every microphone hears all players together, equally loud, at unit mean power, whatever its own gain is.
        """
        capsules = [self.capsules[m] for m in rows]
        places_M3 = np.array([capsule.position_m for capsule in capsules])
        wave_F = 2 * np.pi * bins_hz.numpy().astype(float) / SPEED_OF_SOUND
        diffuse_FMM = _diffuse(capsules, places_M3, wave_F) / self.hall.critical_m**2
        sure_FMM = _sure(places_M3, wave_F)
        found = []
        for id in ids:
            towards_M3 = np.asarray(self.seats_m[id]) - places_M3
            distance_M = np.maximum(np.linalg.norm(towards_M3, axis=-1), _NEAREST_M)
            gain_M = np.array([capsule.gain(to[None])[0] for capsule, to in zip(capsules, towards_M3, strict=True)])
            direct_FM = gain_M / distance_M * np.exp(-1j * wave_F[:, None] * distance_M)
            found.append(direct_FM[:, :, None] * direct_FM[:, None].conj() * sure_FMM + diffuse_FMM)
        R_FNMM = np.stack(found, 1)
        level_M = np.sqrt(np.diagonal(R_FNMM, axis1=-2, axis2=-1).real.mean((0, 1)))
        R_FNMM = R_FNMM / (level_M[:, None] * level_M) + _UNSURE * np.eye(len(capsules))
        R_FNMM /= 1 + _UNSURE
        return torch.from_numpy(R_FNMM.astype(np.complex64))


def _hall(room: Mapping[str, object]) -> dict[str, object]:
    """Return what ``[room]`` says, as a hall takes it."""
    return {key: tuple(value) if key == "size_m" else value for key, value in room.items()}


def _sure(places_M3: np.ndarray, wave_F: np.ndarray) -> np.ndarray:
    """Return how much of the direct sound's coherence is left, shape (F, M, M), where places are known only nearly."""
    apart_MM = np.linalg.norm(places_M3[:, None] - places_M3, axis=-1)
    return np.exp(-((wave_F[:, None, None] * np.minimum(_UNSURE_M, 0.25 * apart_MM)) ** 2))


def _diffuse(capsules: Sequence[Capsule], places_M3: np.ndarray, wave_F: np.ndarray) -> np.ndarray:
    """Return the covariance (F, M, M) of sound that comes from all directions alike."""
    # Points of a Fibonacci lattice share the sphere evenly.
    k = np.arange(_DIRECTIONS) + 0.5
    polar, azimuth = np.arccos(1 - 2 * k / _DIRECTIONS), np.pi * (1 + 5**0.5) * k
    to_X3 = np.stack([np.sin(polar) * np.cos(azimuth), np.sin(polar) * np.sin(azimuth), np.cos(polar)], -1)
    gain_MX = np.stack([capsule.gain(to_X3) for capsule in capsules])
    lead_MX = (places_M3 - places_M3.mean(0)) @ to_X3.T
    found = np.empty((len(wave_F), len(capsules), len(capsules)), complex)
    for f, wave in enumerate(wave_F):
        heard_MX = gain_MX * np.exp(1j * wave * lead_MX)
        found[f] = heard_MX @ heard_MX.conj().T / _DIRECTIONS
    return found
