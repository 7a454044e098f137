"""The sounds of singing: vowels as formants, consonants as what they do to voice and noise.

Formants of men after Peterson & Barney, "Control methods used in a study of the vowels", JASA 1952 (table II), those of
e, o and schwa after the same scale; other voices scale them by the length of their vocal tract.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

FORMANTS_HZ = {
    "a": (710, 1150, 2500),
    "e": (390, 2050, 2600),
    "E": (530, 1780, 2480),
    "i": (280, 2250, 2950),
    "o": (430, 820, 2420),
    "O": (570, 860, 2420),
    "u": (310, 800, 2260),
    "@": (490, 1420, 2400),
}
"""First three formants of the vowels; ``E`` as in bed, ``O`` as in thought, ``@`` is schwa."""

_HIGHER_HZ = (3400.0, 4300.0)


@dataclass(frozen=True)
class Consonant:
    """What a consonant does.

    Attributes
    ----------
    seconds
        How long it lasts at a quiet tempo.
    voice_db
        Level of the voiced part relative to the vowel; ``-inf`` is voiceless.
    noise_db
        Level of the noise relative to the vowel.
    noise_hz
        Lower and upper edge of the noise.
    formants_hz
        First three formants of a voiced one.
    closure
        Share of its time in which the tract is shut: silence before the burst.
    """

    seconds: float
    voice_db: float = -np.inf
    noise_db: float = -np.inf
    noise_hz: tuple[float, float] = (200.0, 8000.0)
    formants_hz: tuple[float, float, float] = (490.0, 1420.0, 2400.0)
    closure: float = 0.0


CONSONANTS = {
    "m": Consonant(0.08, -10, formants_hz=(250, 1100, 2200)),
    "n": Consonant(0.07, -10, formants_hz=(260, 1500, 2500)),
    "l": Consonant(0.07, -6, formants_hz=(340, 1100, 2600)),
    "r": Consonant(0.06, -6, -34, (500, 4000), formants_hz=(420, 1300, 1800)),
    "j": Consonant(0.07, -5, formants_hz=(270, 2200, 2950)),
    "v": Consonant(0.07, -10, -26, (800, 8000), formants_hz=(300, 1100, 2300)),
    "z": Consonant(0.08, -13, -16, (4500, 11_000), formants_hz=(280, 1600, 2500)),
    "b": Consonant(0.06, -18, -26, (200, 1500), formants_hz=(220, 900, 2200), closure=0.7),
    "d": Consonant(0.06, -18, -24, (2000, 6000), formants_hz=(220, 1700, 2600), closure=0.7),
    "g": Consonant(0.06, -18, -24, (1200, 3500), formants_hz=(220, 1900, 2400), closure=0.7),
    "p": Consonant(0.09, noise_db=-20, noise_hz=(200, 2000), closure=0.65),
    "t": Consonant(0.09, noise_db=-15, noise_hz=(2500, 9000), closure=0.65),
    "k": Consonant(0.09, noise_db=-17, noise_hz=(1200, 4500), closure=0.65),
    "f": Consonant(0.10, noise_db=-24, noise_hz=(900, 10_000)),
    "s": Consonant(0.12, noise_db=-13, noise_hz=(4500, 12_000)),
    "S": Consonant(0.12, noise_db=-11, noise_hz=(1900, 7000)),
    "h": Consonant(0.07, noise_db=-24, noise_hz=(500, 5000)),
}
"""``S`` as in ship; the others as German and Italian write them."""


def vowel_formants_hz(vowel: str) -> list[np.ndarray]:
    """Return the formants of a vowel, or of both halves of a glide such as ``ai``, five each."""
    return [np.array([*FORMANTS_HZ[sound], *_HIGHER_HZ], float) for sound in vowel]


def consonant_formants_hz(consonant: Consonant) -> np.ndarray:
    """Return the five formants of a consonant."""
    return np.array([*consonant.formants_hz, *_HIGHER_HZ], float)


__all__ = ["CONSONANTS", "FORMANTS_HZ", "Consonant", "consonant_formants_hz", "vowel_formants_hz"]
