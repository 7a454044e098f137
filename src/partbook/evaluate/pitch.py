"""How well F0 tracks agree with references, voice by voice and all voices together.

Rates come from ``mir_eval``: raw pitch and raw chroma accuracy, voicing recall and false alarm, overall accuracy
(Poliner et al., "Melody transcription from music audio", TASLP 2007) and precision and recall of all pitches at once
(Bay, Ehmann & Downie, "Evaluation of multiple-F0 estimation", ISMIR 2009). They do not say *what* went wrong. So every
voiced frame of a reference is also put into exactly one class:

========  =====================================================================================
correct   within the tolerance of the voice's own F0
swapped   not correct, but within the tolerance of another voice's F0 at that moment
octave    neither, but within the tolerance of a number of octaves above or below
wrong     none of these
missed    the estimate is unvoiced
========  =====================================================================================

Raw pitch and raw chroma accuracy count the pitch whatever is said of voicing: an unvoiced frame is right there if its
track says where the voice would be (:attr:`~partbook.pitch.tracks.Track.resting_hz`). All else counts what is voiced.

Tracks are compared at common times, ``hop_s`` apart; the tolerance is half a semitone unless said otherwise.
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType

import numpy as np

from ..errors import OptionError
from ..pitch.tracks import Track

TOLERANCE_CENTS = 50.0
_MIR_EVAL_RANGE_HZ = (20.0, 5000.0)


@dataclass(frozen=True)
class CentsErrors:
    """Distribution of the error of correct frames in cents: how finely the F0 is right where it is right.

    Attributes
    ----------
    bias
        Median signed error: positive where the estimate is sharp.
    median, p95
        Median and 95th percentile of the absolute error.
    """

    bias: float
    median: float
    p95: float


@dataclass(frozen=True)
class Calibration:
    """Whether a confidence of 0.8 means that four of five voiced frames are right.

    Attributes
    ----------
    confidence, accuracy, count
        Mean confidence, share of correct frames and number of frames in each of ten equal bins of confidence, shape
        (10,); NaN where a bin is empty.
    expected_error
        Mean distance of the two, weighted by the number of frames ("expected calibration error").
    brier
        Mean squared difference of the confidence and the truth (0 or 1).
    """

    confidence: np.ndarray
    accuracy: np.ndarray
    count: np.ndarray
    expected_error: float
    brier: float


@dataclass(frozen=True)
class VoicePitch:
    """Scores of one voice, all between 0 and 1 and NaN where nothing can be said.

    ``correct``, ``swapped``, ``octave``, ``wrong`` and ``missed`` are shares of the voiced frames of the reference and
    sum to 1; ``precision`` and ``recall`` count a frame only if this very voice has it ("voice assignment").
    """

    raw_pitch: float
    raw_chroma: float
    voicing_recall: float
    voicing_false_alarm: float
    overall: float
    precision: float
    recall: float
    f_measure: float
    correct: float
    swapped: float
    octave: float
    wrong: float
    missed: float
    cents: CentsErrors


@dataclass(frozen=True)
class EnsemblePitch:
    """Scores of an ensemble.

    Attributes
    ----------
    voices
        Scores per voice.
    precision, recall, f_measure
        Of all pitches of all voices at once, whoever has them ("multi-F0").
    assignment_f_measure
        The same counted voice by voice: lower by what is given to the wrong voice.
    calibration
        Of the confidence of all voices.
    """

    voices: Mapping[str, VoicePitch]
    precision: float
    recall: float
    f_measure: float
    assignment_f_measure: float
    calibration: Calibration


def score_pitch(
    references: Mapping[str, Track],
    estimates: Mapping[str, Track],
    *,
    hop_s: float = 0.01,
    tolerance_cents: float = TOLERANCE_CENTS,
) -> EnsemblePitch:
    """Score F0 tracks against references.

    Parameters
    ----------
    references, estimates
        Tracks per voice. A voice without an estimate counts as unvoiced throughout.
    hop_s
        Distance of the compared times, from 0 to the end of the longest reference.
    tolerance_cents
        Largest error of a correct frame.

    Raises
    ------
    OptionError
        If mir_eval is not installed.
    """
    mir_eval = require_mir_eval()
    times_s = np.arange(0, max(track.times_s[-1] for track in references.values()) + hop_s / 2, hop_s)
    names = list(references)
    silent = Track(times_s, np.zeros_like(times_s), np.zeros_like(times_s))
    reference_NT = np.stack([references[name].at(times_s).f0_hz for name in names])
    tracks = [estimates[name].at(times_s) if name in estimates else silent for name in names]
    estimate_NT = np.stack([track.f0_hz for track in tracks])
    signed_NT = np.stack([track.signed_hz for track in tracks])
    classes = [frame_classes(reference_NT, estimate_NT[n], n, tolerance_cents) for n in range(len(names))]
    voices = {
        name: _voice_scores(mir_eval, times_s, reference_NT[n], signed_NT[n], classes[n], tolerance_cents)
        for n, name in enumerate(names)
    }
    precision, recall = _multi_f0(mir_eval, times_s, reference_NT, estimate_NT, tolerance_cents)
    correct_NT = np.stack([c == "correct" for c in classes])
    own_precision = _share(correct_NT.sum(), (estimate_NT > 0).sum())
    own_recall = _share(correct_NT.sum(), (reference_NT > 0).sum())
    confidence_NT = np.stack([track.confidence for track in tracks])
    voiced_NT = estimate_NT > 0
    return EnsemblePitch(
        voices,
        precision,
        recall,
        f_measure(precision, recall),
        f_measure(own_precision, own_recall),
        calibration(confidence_NT[voiced_NT], correct_NT[voiced_NT]),
    )


def frame_classes(reference_NT: np.ndarray, estimate_T: np.ndarray, voice: int, tolerance_cents: float) -> np.ndarray:
    """Return the class of every frame of one voice, as in the table of this module; "" where it is unvoiced.

    Parameters
    ----------
    reference_NT
        F0 of all voices in Hz, 0 where unvoiced, shape (N, T).
    estimate_T
        Estimated F0 of the voice, shape (T,).
    voice
        Index of the voice.
    tolerance_cents
        Largest error of a correct frame.
    """
    error_NT = cents_error(reference_NT, estimate_T)
    near_NT = np.abs(error_NT) <= tolerance_cents
    own = error_NT[voice]
    octave = np.abs(own - 1200 * np.round(own / 1200)) <= tolerance_cents
    classes = np.select(
        [estimate_T <= 0, near_NT[voice], near_NT.any(0), octave], ["missed", "correct", "swapped", "octave"], "wrong"
    )
    return np.where(reference_NT[voice] > 0, classes, "")


def cents_error(reference_hz: np.ndarray, estimate_hz: np.ndarray) -> np.ndarray:
    """Return how many cents the estimate is sharp; NaN where either is unvoiced."""
    both = (reference_hz > 0) & (estimate_hz > 0)
    ratio = np.where(both, estimate_hz, 1) / np.where(both, reference_hz, 1)
    return np.where(both, 1200 * np.log2(ratio), np.nan)


def calibration(confidence: np.ndarray, correct: np.ndarray, bins: int = 10) -> Calibration:
    """Compare the confidence of voiced frames with the truth; both of shape (frames,).

    Examples
    --------
    >>> honest = calibration(np.array([0.75, 0.75, 0.75, 0.75]), np.array([True, True, True, False]))
    >>> honest.expected_error, honest.brier
    (0.0, 0.1875)
    """
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    count = np.bincount(place, minlength=bins)
    with np.errstate(invalid="ignore"):
        mean = np.bincount(place, confidence, bins) / count
        accuracy = np.bincount(place, correct, bins) / count
    total = max(1, len(confidence))
    error = float(np.nansum(np.abs(mean - accuracy) * count) / total)
    brier = float(np.square(confidence - correct).sum() / total)
    return Calibration(mean, accuracy, count, error, brier)


def f_measure(precision: float, recall: float) -> float:
    """Return the harmonic mean; 0 if both are 0."""
    total = precision + recall
    return 0.0 if total == 0 else 2 * precision * recall / total


def _voice_scores(
    mir_eval: ModuleType,
    times_s: np.ndarray,
    reference: np.ndarray,
    signed: np.ndarray,
    classes: np.ndarray,
    tolerance_cents: float,
) -> VoicePitch:
    melody, estimate = mir_eval.melody, np.maximum(signed, 0)
    voiced = int((reference > 0).sum())
    shares = {c: _share((classes == c).sum(), voiced) for c in ("correct", "swapped", "octave", "wrong", "missed")}
    with warnings.catch_warnings():
        # mir_eval warns where a rate of no frames has to be something; such rates are NaN below.
        warnings.simplefilter("ignore")
        reference_voicing, reference_cent, voicing, cent = melody.to_cent_voicing(times_s, reference, times_s, signed)
        series = reference_voicing, reference_cent, voicing, cent
        raw_pitch = melody.raw_pitch_accuracy(*series, cent_tolerance=tolerance_cents)
        raw_chroma = melody.raw_chroma_accuracy(*series, cent_tolerance=tolerance_cents)
        recall, false_alarm = melody.voicing_measures(reference_voicing, voicing)
        overall = melody.overall_accuracy(*series, cent_tolerance=tolerance_cents)
    correct = classes == "correct"
    precision, own_recall = _share(correct.sum(), (estimate > 0).sum()), shares["correct"]
    return VoicePitch(
        raw_pitch=float(raw_pitch) if voiced else np.nan,
        raw_chroma=float(raw_chroma) if voiced else np.nan,
        voicing_recall=float(recall) if voiced else np.nan,
        voicing_false_alarm=float(false_alarm) if voiced < len(reference) else np.nan,
        overall=float(overall),
        precision=precision,
        recall=own_recall,
        f_measure=f_measure(precision, own_recall),
        **shares,
        cents=_cents_errors(cents_error(reference, estimate)[correct]),
    )


def _cents_errors(error: np.ndarray) -> CentsErrors:
    if not len(error):
        return CentsErrors(np.nan, np.nan, np.nan)
    size = np.abs(error)
    return CentsErrors(float(np.median(error)), float(np.median(size)), float(np.percentile(size, 95)))


def _multi_f0(
    mir_eval: ModuleType, times_s: np.ndarray, reference_NT: np.ndarray, estimate_NT: np.ndarray, tolerance_cents: float
) -> tuple[float, float]:
    def ragged(f0_NT: np.ndarray) -> list[np.ndarray]:
        return [np.clip(frame[frame > 0], *_MIR_EVAL_RANGE_HZ) for frame in f0_NT.T]

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        precision, recall, *_ = mir_eval.multipitch.metrics(
            times_s, ragged(reference_NT), times_s, ragged(estimate_NT), window=tolerance_cents / 100
        )
    return (
        float(precision) if (estimate_NT > 0).any() else np.nan,
        float(recall) if (reference_NT > 0).any() else np.nan,
    )


def _share(part: float, whole: float) -> float:
    return float(part / whole) if whole else np.nan


def require_mir_eval() -> ModuleType:
    """Return the module mir_eval.

    Raises
    ------
    OptionError
        If it is not installed.
    """
    try:
        importlib.import_module("mir_eval.multipitch")
        return importlib.import_module("mir_eval")
    except ImportError as error:
        raise OptionError("the package mir_eval to score F0", "none", "pip install 'partbook[eval]'") from error
