"""The published F0 scores of voice separation, bugs and all, to compare with their tables and with nothing else.

The evaluation code of Richard, Chouteau & Torres (ICASSP 2024) scores 250 frames of 16 ms in four windows, of which

- the *n*-th begins at frame *n* instead of frame 62 *n*, so that the windows overlap almost entirely and grow;
- estimates were clamped to 1e-5 Hz, which counts as voiced: voicing recall is 1 and every rest a false alarm;
- multi-F0 scores had 20 Hz added to references and estimates, which turns rests into correct pitches and widens the
  tolerance of low voices.

:mod:`~partbook.evaluate.pitch` scores the same tracks without them.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping

import numpy as np

from .pitch import require_mir_eval

FRAMES, HOP_S = 250, 0.016
_WINDOW_FRAMES, _WINDOWS = 62, 4
_CLAMPED_HZ, _ADDED_HZ = 1e-5, 20.0


def published_pitch(reference_hz: np.ndarray, estimate_hz: np.ndarray) -> Mapping[str, np.ndarray]:
    """Return the published scores of one voice in one excerpt of 4 s.

    Parameters
    ----------
    reference_hz, estimate_hz
        F0 every 16 ms, 0 where unvoiced, shape (250,).

    Returns
    -------
    dict
        ``raw_pitch``, ``raw_chroma``, ``overall``, ``voicing_recall``, ``voicing_false_alarm`` and ``f_score``, each of
        shape (4,).
    """
    mir_eval = require_mir_eval()
    estimate_hz = np.maximum(estimate_hz, _CLAMPED_HZ)
    scores: dict[str, list[float]] = {}
    for n in range(_WINDOWS):
        window = slice(n, (n + 1) * _WINDOW_FRAMES)
        reference, estimate = reference_hz[window], estimate_hz[window]
        times_s = np.arange(len(reference)) * HOP_S
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            series = mir_eval.melody.to_cent_voicing(times_s, reference, times_s, estimate)
            lifted = [frame[None] + _ADDED_HZ for frame in reference], [frame[None] + _ADDED_HZ for frame in estimate]
            precision, recall, *_ = mir_eval.multipitch.metrics(times_s, lifted[0], times_s, lifted[1])
            row = {
                "raw_pitch": mir_eval.melody.raw_pitch_accuracy(*series),
                "raw_chroma": mir_eval.melody.raw_chroma_accuracy(*series),
                "overall": mir_eval.melody.overall_accuracy(*series),
                "voicing_recall": mir_eval.melody.voicing_recall(series[0], series[2]),
                "voicing_false_alarm": mir_eval.melody.voicing_false_alarm(series[0], series[2]),
                "f_score": 2 * precision * recall / (precision + recall + 1e-8),
            }
        for name, score in row.items():
            scores.setdefault(name, []).append(float(score))
    return {name: np.array(values) for name, values in scores.items()}
