import dataclasses
import itertools
import math

import numpy as np
import pytest
import torch
from evaluate_folders import RATE, VOICES, leaky, stems

from partbook.audio import recording_from_array
from partbook.errors import OptionError
from partbook.evaluate import floors
from partbook.evaluate.bss_eval import bss_eval_sources
from partbook.evaluate.material import Bundle, Piece
from partbook.evaluate.protocols import PROTOCOLS, cells, excerpts, protocol_named
from partbook.evaluate.scoring import score_piece
from partbook.evaluate.separation import si_sdr
from partbook.evaluate.spectral import spectral_snr

QUICK = dataclasses.replace(PROTOCOLS["excerpts"], metrics=("si_sdr", "si_sdri"))


def bundle(samples, rate=RATE, missing=()):
    recordings = [
        None if n in missing else recording_from_array(stem.astype(np.float32), rate) for n, stem in enumerate(samples)
    ]
    return Bundle(tuple(recordings), rate, samples.shape[1], samples.shape[2])


def piece(references, rate=RATE):
    return Piece("song", VOICES[: len(references)], bundle(references, rate), None, {})


def scores(references, estimates, protocol=QUICK, **options):
    return score_piece(piece(references), {"ours": bundle(estimates)}, protocol, **options)


def values(found, metric="si_sdr", system="ours"):
    return np.array([cell.scores[metric] for cell in found.cells if cell.system == system])


@pytest.mark.parametrize("name", PROTOCOLS)
@pytest.mark.parametrize("seconds", [0.0005, 0.7, 4, 4.5, 9.3, 31])
def test_excerpts_lie_inside_the_piece_and_do_not_overlap(name, seconds):
    samples = max(1, round(seconds * 16000))
    found = list(excerpts(PROTOCOLS[name], samples, 16000))
    assert found and found[0][0] >= 0 and found[-1][1] <= samples
    assert all(stop > start for start, stop in found)
    assert all(first[1] <= second[0] for first, second in itertools.pairwise(found))
    for start, stop in found:
        parts = list(cells(PROTOCOLS[name], stop - start, 16000))
        assert parts[0][0] == 0 and parts[-1][1] == stop - start


def test_the_default_protocol_leaves_no_second_out():
    for samples in (64000, 100000, 64000 * 3 + 15000, 64000 * 3 + 17000):
        found = list(excerpts(PROTOCOLS["excerpts"], samples, 16000))
        assert sum(stop - start for start, stop in found) == samples


def test_the_published_excerpts_of_el_rossinyol_are_those_of_the_published_files():
    starts = [start / 16000 for start, _ in excerpts(PROTOCOLS["umss"], 134 * 16000, 16000)]
    assert len(starts) == 32
    assert 7.984 in starts and 27.984 in starts and starts[0] == 3.984


def test_unknown_protocols_get_a_hint():
    with pytest.raises(OptionError, match="try museval"):
        protocol_named("musevale")


def test_scores_of_an_excerpt_are_those_of_its_samples():
    references, estimates = stems(9), leaky(stems(9))
    found = scores(references, estimates)
    part = slice(4 * RATE, 8 * RATE)
    expected = si_sdr(*(x.astype(np.float32)[:, 0, part] for x in (references, estimates)))
    assert [c.scores["si_sdr"] for c in found.cells if c.excerpt == 1] == pytest.approx(list(expected))
    assert len(found.cells) == 3 * 3 and found.cells[-1].duration_s == 1


def test_all_systems_at_once_score_as_each_alone():
    references = stems(4)
    estimates = {f"leak {leak}": bundle(leaky(references, leak)) for leak in (0.1, 0.3)}
    together = score_piece(piece(references), estimates, PROTOCOLS["excerpts"])
    for name, system in estimates.items():
        alone = score_piece(piece(references), {name: system}, PROTOCOLS["excerpts"])
        for metric in PROTOCOLS["excerpts"].metrics:
            np.testing.assert_allclose(values(together, metric, name), values(alone, metric, name), atol=1e-6)
    direct = bss_eval_sources(references[:, 0], leaky(references, 0.3)[:, 0]).sir
    np.testing.assert_allclose(values(together, "sir", "leak 0.3"), direct, atol=1e-3)


def test_the_published_rule_of_silence_drops_quiet_cells_only():
    references = stems(9, rate=16000)
    references[1, :, round(4.9 * 16000) : 6 * 16000] *= 1e-3
    found = score_piece(
        Piece("song", VOICES, bundle(references, 16000), None, {}),
        {"ours": bundle(leaky(references), 16000)},
        PROTOCOLS["umss"],
    )
    silent = [(cell.source, round(cell.start_s)) for cell in found.cells if cell.silent]
    assert silent == [("alto", 5)]
    dropped = next(cell for cell in found.cells if cell.silent)
    assert math.isnan(dropped.scores["si_sdr"]) and -30 < dropped.leak_db < 0


def test_a_voice_far_below_the_piece_is_silent_even_where_all_are():
    references = stems(8)
    references[..., : 4 * RATE] *= 0.01
    silent = {(cell.excerpt, cell.silent) for cell in scores(references, leaky(references)).cells}
    assert silent == {(0, True), (1, False)}
    louder = dataclasses.replace(QUICK, quiet_db=-60)
    assert not any(cell.silent for cell in scores(references, leaky(references), louder).cells)


def test_a_muted_estimate_costs_unless_scored_as_published():
    references, estimates = stems(9, rate=16000), leaky(stems(9, rate=16000))
    estimates[2, :, : 6 * 16000] = 0
    whole = Piece("song", VOICES, bundle(references, 16000), None, {})
    fixed, bugged = (
        values(score_piece(whole, {"ours": bundle(estimates, 16000)}, PROTOCOLS["umss"], as_published=bug))
        for bug in (False, True)
    )
    assert np.isneginf(fixed).sum() == np.isnan(bugged).sum() == 2
    known = np.isfinite(fixed)
    np.testing.assert_allclose(bugged[known], 10 * np.log10(10 ** (fixed[known] / 10) + 1e-8))


def test_metrics_of_a_published_cell_are_the_published_formulas():
    references, estimates = stems(4, rate=16000), leaky(stems(4, rate=16000))
    whole = Piece("song", VOICES, bundle(references, 16000), None, {})
    found = score_piece(whole, {"ours": bundle(estimates, 16000)}, PROTOCOLS["umss"])
    peak = np.abs(references.sum(0)).max()
    second = slice(16000, 32000)
    s, e = references[0, 0, second] / peak, estimates[0, 0, second] / peak
    scaled = (s @ e) / (s @ s) * s
    cell = next(c for c in found.cells if c.source == "soprano" and c.start_s == 1)
    assert cell.scores["si_sdr"] == pytest.approx(10 * np.log10(scaled @ scaled / np.sum((scaled - e) ** 2)), abs=1e-4)
    assert cell.scores["spectral_snr"] == pytest.approx(spectral_snr(s, e), abs=1e-4)


def test_a_window_with_one_silent_source_is_lost_for_all_only_as_published():
    references, estimates = stems(4), leaky(stems(4))
    references[0, :, RATE : 2 * RATE] = 0
    fixed = scores(references, estimates, PROTOCOLS["museval"])
    bugged = scores(references, estimates, PROTOCOLS["museval"], as_published=True)
    assert np.isnan(values(fixed, "sdr")).sum() == 1
    assert np.isnan(values(bugged, "sdr")).sum() == 3


def test_every_microphone_of_a_session_is_scored_alone():
    references = stems(4, channels=4)
    found = scores(references, leaky(references), PROTOCOLS["session"])
    assert sorted({cell.microphone for cell in found.cells}) == [0, 1, 2, 3]
    expected = si_sdr(*(x.astype(np.float32)[1, 2] for x in (references, leaky(references))))
    cell = next(c for c in found.cells if c.source == "alto" and c.microphone == 2)
    assert cell.scores["si_sdr"] == pytest.approx(float(expected), abs=1e-6)


def test_missing_stems_have_no_cells_and_no_curve():
    references = stems(4)
    found = score_piece(piece(references), {"ours": bundle(leaky(references), missing=(1,))}, QUICK)
    assert {cell.source for cell in found.cells} == {"soprano", "tenor"}
    assert np.isnan(found.curves["ours"][1]).all() and np.isfinite(found.curves["ours"][0]).all()


def test_exchanged_voices_are_seen_cell_by_cell():
    references = stems(8)
    estimates = leaky(references)
    estimates[[0, 1], :, 4 * RATE :] = estimates[[1, 0], :, 4 * RATE :]
    found = scores(references, estimates)
    wrong = {(cell.source, cell.belongs_to) for cell in found.cells if cell.belongs_to != cell.source}
    assert wrong == {("soprano", "alto"), ("alto", "soprano")}
    assert {cell.excerpt for cell in found.cells if cell.belongs_to != cell.source} == {1}


def test_remarks_name_swapped_channels_exchanged_stems_and_polarity():
    references = stems(4, channels=2, seed=3)
    estimates = leaky(references, 0.02)
    swapped = estimates.copy()
    swapped[0] = swapped[0, ::-1]
    exchanged = estimates[[0, 2, 1]]
    for changed, word in ((swapped, "swapped"), (exchanged, "exchanged"), (-estimates, "polarity")):
        found = scores(references, changed)
        remarks = list(found.likeness["ours"].remarks(VOICES))
        assert any(word in remark for _, remark in remarks), (word, remarks)
    assert not list(scores(references, estimates).likeness["ours"].remarks(VOICES))


# ------------------------------------------------------------------------------------------------ floors


def both(seconds=3, channels=1):
    references = torch.from_numpy(stems(seconds, channels))
    return references, references.sum(0)


@pytest.mark.parametrize("ceiling", [*floors.CEILINGS.values(), floors.oracle_multichannel_wiener])
def test_ceilings_are_far_above_doing_nothing(ceiling):
    references, mixture = both(channels=2)
    reached = si_sdr(references, ceiling(references, mixture, RATE)).mean()
    assert reached > 10 + si_sdr(references, floors.do_nothing(references, mixture, RATE)).mean()


@pytest.mark.parametrize("ceiling", [floors.ideal_ratio_mask, floors.ideal_wiener_mask])
def test_masks_share_out_the_mixture_entirely(ceiling):
    references, mixture = both(channels=2)
    torch.testing.assert_close(ceiling(references, mixture, RATE).sum(0), mixture, atol=1e-9, rtol=0)


def test_the_multichannel_filter_with_one_microphone_is_the_power_mask():
    references, mixture = both()
    filtered = floors.oracle_multichannel_wiener(references, mixture, RATE)
    torch.testing.assert_close(filtered, floors.ideal_wiener_mask(references, mixture, RATE), atol=1e-6, rtol=0)


@pytest.mark.parametrize("ceiling", floors.SPATIAL_CEILINGS.values())
def test_more_microphones_raise_the_spatial_ceiling(ceiling):
    rng = np.random.default_rng(0)
    bursts = rng.standard_normal((3, 1, 20, RATE // 10)) * rng.uniform(0, 1, (3, 1, 20, 1)) ** 2
    images = torch.from_numpy(bursts.reshape(3, 1, -1) * rng.uniform(-1, 1, (3, 3, 1)))
    two, three = (si_sdr(images[:, :m], ceiling(images[:, :m], images[:, :m].sum(0), RATE)).mean() for m in (2, 3))
    assert three > two + 3


def test_the_comb_separates_harmonic_voices_and_shares_alike_without_f0():
    from evaluate_folders import F0_HZ

    from partbook.pitch.tracks import Track

    references, mixture = both(2)
    times_s = np.arange(0, 2.5, 0.01)
    tracks = [Track(times_s, np.full_like(times_s, f0), np.ones_like(times_s)) for f0 in F0_HZ]
    combed = floors.harmonic_comb(mixture, RATE, tracks)
    assert (si_sdr(references, combed) > 6).all()
    torch.testing.assert_close(combed.sum(0), mixture, atol=1e-9, rtol=0)
    unvoiced = [dataclasses.replace(track, f0_hz=0 * track.f0_hz) for track in tracks]
    torch.testing.assert_close(floors.harmonic_comb(mixture, RATE, unvoiced)[1], mixture / 3, atol=1e-9, rtol=0)


def test_floors_and_ceilings_of_real_voices_are_the_known_ones(shared):
    import soundfile

    known = {"7.984": (-6.2, 14.6), "27.984": (-5.2, 14.0)}
    for name, (nothing, ideal) in known.items():
        folder = shared / "voices/rossinyol_excerpts" / name
        signals = [soundfile.read(folder / f"{v}.flac")[0] for v in ("soprano", "alto", "tenor", "bass")]
        references = torch.from_numpy(np.stack(signals))[:, None]
        mixture = torch.from_numpy(soundfile.read(folder / "mix.flac")[0])[None]
        floor = si_sdr(references, floors.do_nothing(references, mixture, 16000)).mean()
        ceiling = si_sdr(references, floors.ideal_wiener_mask(references, mixture, 16000)).mean()
        assert float(floor) == pytest.approx(nothing, abs=0.05)
        assert float(ceiling) == pytest.approx(ideal, abs=0.06)
