"""Test protocols: which stretches of a piece are scored, by which metrics, and what becomes of silence.

A *cell* is the unit of a score: one source in one stretch of one piece, in session tests at one microphone. Cells
belong to *excerpts*, over which uncertainty is estimated.

The published protocols reproduce tables of the literature. Where their code has a bug, the same protocol here has none,
and ``as_published`` brings it back:

- *umss*: a silent estimate of a sounding voice gives NaN and is dropped, so that a system gains by muting what it finds
  hard; every ratio has 1e-8 added to it. Of the published F0 figures, see :mod:`~partbook.evaluate.published`.
- *museval*: a window in which any one source is silent is dropped for all sources.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ..errors import OptionError, nearest


@dataclass(frozen=True)
class Protocol:
    """A way to score.

    Attributes
    ----------
    name, about
        Word on the command line, and one sentence for people.
    metrics
        What is measured, the main figure first; names as in :data:`METRICS`.
    excerpt_s
        Length of an excerpt; None takes the whole piece as one.
    first_excerpt
        Index of the first excerpt that is scored; later ones follow without gaps.
    grid_s
        Excerpts begin on multiples of this many seconds; 0 takes any sample.
    keeps_rest
        Whether what is left after the last whole excerpt is scored: alone if it lasts a second, else with the last.
    cell_s
        Length of a cell; 0 takes the whole excerpt.
    sample_rate
        Everything is resampled to it; 0 keeps the rate.
    normalised
        Scale every excerpt so that its mixture peaks at 1.
    least_energy
        References with less energy (sum of squares of a cell) are silent.
    quiet_db
        So are references whose power in a cell is this far below that of the whole piece's mixture.
    mean_removed
        Whether SI-SDR ignores an offset.
    sums_references
        Whether the mixture is always the sum of the references, whatever was recorded.
    median
        Whether cells of a source are summarised by their median, not their mean.
    pooled
        Whether the figure of a system is that of all its cells; else the mean of its sources' figures.
    per_microphone
        Whether each microphone is scored alone.
    global_filters
        Whether BSS Eval fits one filter to the whole piece (version 4) and measures in windows of a cell.
    """

    name: str
    about: str
    metrics: tuple[str, ...]
    excerpt_s: float | None = 4.0
    first_excerpt: int = 0
    grid_s: float = 0.0
    keeps_rest: bool = True
    cell_s: float = 0.0
    sample_rate: int = 0
    normalised: bool = False
    least_energy: float = 0.0
    quiet_db: float = -30.0
    mean_removed: bool = True
    sums_references: bool = False
    median: bool = False
    pooled: bool = False
    per_microphone: bool = False
    global_filters: bool = False


METRICS: Mapping[str, str] = {
    "si_sdr": "SI-SDR",
    "si_sdri": "SI-SDRi",
    "sdr": "SDR",
    "isr": "ISR",
    "sir": "SIR",
    "sar": "SAR",
    "spectral_snr": "spectral SNR",
    "spectral_si_snr": "spectral SI-SNR",
    "mel_cepstral": "mel-cepstral distance",
}
"""Names of the metrics for people. All are decibels except the last, a distance of which less is better."""

PROTOCOLS: Mapping[str, Protocol] = {
    protocol.name: protocol
    for protocol in (
        Protocol(
            "excerpts",
            "consecutive excerpts of 4 s at the material's own rate; silence named, nothing dropped",
            ("si_sdr", "si_sdri", "sdr", "isr", "sir", "sar", "spectral_snr", "mel_cepstral"),
        ),
        Protocol(
            "umss",
            "that of Schulze-Forster et al. (TASLP 2023) and Richard, Chouteau & Torres (ICASSP 2024)",
            ("si_sdr", "si_sdri", "spectral_snr", "spectral_si_snr", "mel_cepstral"),
            first_excerpt=1,
            grid_s=0.016,
            keeps_rest=False,
            cell_s=1.0,
            sample_rate=16_000,
            normalised=True,
            least_energy=10.0,
            quiet_db=-math.inf,
            mean_removed=False,
            sums_references=True,
            pooled=True,
        ),
        Protocol(
            "museval",
            "BSS Eval version 4 as museval and the SiSEC 2018 campaign use it: windows of 1 s, median of medians",
            ("sdr", "isr", "sir", "sar"),
            cell_s=1.0,
            quiet_db=-math.inf,
            median=True,
            global_filters=True,
        ),
        Protocol(
            "session",
            "images at each source's own spot, at the main microphones and at all of them",
            ("si_sdr", "si_sdri", "sdr", "isr", "sir", "sar"),
            quiet_db=-60.0,
            per_microphone=True,
        ),
    )
}
"""Every protocol by name."""


def protocol_named(name: str) -> Protocol:
    """Return a protocol.

    Raises
    ------
    OptionError
        If there is none of that name.
    """
    if name not in PROTOCOLS:
        raise OptionError(f"a --protocol of {', '.join(PROTOCOLS)}", f"{name!r}", nearest(name, PROTOCOLS))
    return PROTOCOLS[name]


def excerpts(protocol: Protocol, samples: int, sample_rate: int) -> Iterator[tuple[int, int]]:
    """Yield the first and the last sample (exclusive) of every excerpt of a piece.

    A piece that is too short for a single excerpt is one by itself.

    Examples
    --------
    >>> umss = PROTOCOLS["umss"]
    >>> [start / 16000 for start, _ in excerpts(umss, 17 * 16000, 16000)]
    [3.984, 7.984, 11.984]
    >>> list(excerpts(PROTOCOLS["excerpts"], 11000, 1000))
    [(0, 4000), (4000, 8000), (8000, 11000)]
    """
    size = samples if protocol.excerpt_s is None else round(protocol.excerpt_s * sample_rate)
    count = samples // size if size else 0
    if count <= protocol.first_excerpt:
        yield 0, samples
        return
    rest = samples - count * size if protocol.keeps_rest else 0
    for k in range(protocol.first_excerpt, count):
        start = _snapped(k * size / sample_rate, protocol.grid_s, sample_rate) if protocol.grid_s else k * size
        last = k == count - 1
        yield start, start + size + (rest if last and rest < sample_rate else 0)
    if rest >= sample_rate:
        yield count * size, samples


def cells(protocol: Protocol, samples: int, sample_rate: int) -> Iterator[tuple[int, int]]:
    """Yield the first and the last sample (exclusive) of every cell of an excerpt of so many samples."""
    size = round(protocol.cell_s * sample_rate) or samples
    for start in range(0, samples, size):
        yield start, min(start + size, samples)


def _snapped(start_s: float, grid_s: float, sample_rate: int) -> int:
    """Return the sample of the grid point at or before a time.

    Python's floor division of decimals is meant: it puts 4 s at 3.984 s, one step of 16 ms early, and with it every
    excerpt of the published tables.
    """
    return int(start_s // grid_s * round(grid_s * sample_rate))
