"""The pitch task: targets lie on F0, batches follow from seed and step, and a few steps already teach something."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile
import torch
from safetensors.numpy import load_file
from torch.nn.functional import pad

from partbook.data.choirs import RECORDED, piece
from partbook.errors import OptionError
from partbook.pitch.network import NetworkConfig
from partbook.train.loop import LoopConfig, train
from partbook.train.pitch import (
    HELD_OUT,
    PitchConfig,
    PitchTask,
    excerpt,
    rendered,
    rows_of,
    scores,
    some_seed,
    stacked,
    targets,
)

NETWORK = NetworkConfig(channels=6, exchanged=2, reach=((1, 1), (2, 2)))
SMALL = PitchConfig(NETWORK, pieces=2, held_out=1, excerpts=2, seconds=1.0)


@pytest.fixture
def task(renders):
    return PitchTask(SMALL, renders)


def test_rows_are_logarithmic_frequency():
    grid_hz = NETWORK.transform.grid_hz[: NETWORK.rows].float()
    assert torch.allclose(rows_of(grid_hz, NETWORK), torch.arange(NETWORK.rows).float(), atol=1e-3)
    assert rows_of(torch.tensor([880.0]), NETWORK) - rows_of(torch.tensor([440.0]), NETWORK) == pytest.approx(60)
    assert (rows_of(torch.zeros(3), NETWORK) < -100).all()


def test_targets_are_bumps_on_every_f0_and_nothing_where_nobody_sounds():
    position = torch.tensor([[[10.0, 50.3, -1e3], [100.5, -1e3, -1e3]]])
    target = targets(position, 339)
    assert target.shape == (1, 339, 3)
    assert target[0, 10, 0] == 1 and target[0, 100, 0] == target[0, 101, 0] > 0.8
    assert target[0, :, 1].argmax() == 50 and target[0, 100, 1] < 1e-6
    assert not target[0, :, 2].any()


def test_unisons_are_no_louder_than_one_voice_and_voices_have_no_order():
    position = torch.tensor([[[120.0], [120.0], [200.0]]])
    assert torch.equal(targets(position, 339), targets(position[:, 1:], 339))
    assert torch.equal(targets(position, 339), targets(position.flip(1), 339))


def test_the_target_itself_scores_full_marks_and_silence_none(task):
    position = rows_of(task.batch(0, 0)[2], NETWORK)
    whole = scores(torch.where(targets(position, 339) > 0.5, targets(position, 339), -1.0), position)
    assert whole["recall"] > 0.98 and whole["precision"] > 0.98
    assert scores(torch.full((*position.shape[:1], 339, position.shape[-1]), -1.0), position)["f"] == 0


def test_wrong_and_missing_peaks_cost_precision_and_recall():
    position = torch.tensor([[[100.0] * 10, [200.0] * 10]])
    heard = targets(position[:, :1], 339) - 0.5
    assert scores(heard, position) == {"precision": 1.0, "recall": 0.5, "f": pytest.approx(2 / 3)}
    heard = targets(torch.tensor([[[100.0] * 10, [200.0] * 10, [300.0] * 10]]), 339) - 0.5
    assert scores(heard, position)["precision"] == pytest.approx(2 / 3) and scores(heard, position)["recall"] == 1
    assert scores(pad(heard, (0, 0, 5, 0))[:, :339], position)["f"] == 0, "five rows off"


def test_a_batch_follows_from_seed_and_step_alone(task, renders):
    first, again = task.batch(3, 5), PitchTask(SMALL, renders).batch(3, 5)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    np.random.default_rng().random()
    torch.rand(3)
    for other in (task.batch(3, 6), task.batch(4, 5)):
        assert first[0].shape == other[0].shape and not torch.equal(first[0], other[0])


def test_every_excerpt_has_the_same_length_and_its_f0_covers_it(renders):
    for seed in range(25):
        x, level, f0_NT = excerpt(renders, seed % 2, SMALL, np.random.default_rng(seed))
        assert x.shape == (16_000,) and f0_NT.shape[1] == NETWORK.transform.frames(16_000)
        assert np.isfinite(x).all() and level > 0 and len(f0_NT) >= 1
        assert ((f0_NT == 0) | ((f0_NT > 40) & (f0_NT < 2500))).all()


def test_batches_pad_with_silent_voices():
    drawn = [(np.zeros(8), 1.0, np.full((voices, 3), 100.0)) for voices in (1, 3)]
    x, level, f0_BNT = stacked(drawn)
    assert x.shape == (2, 8) and level.shape == (2,) and f0_BNT.shape == (2, 3, 3)
    assert f0_BNT[0, 1:].abs().sum() == 0 and (f0_BNT[1] == 100).all()
    assert {x.dtype, level.dtype, f0_BNT.dtype} == {torch.float32}


def test_f0_of_an_excerpt_is_where_its_sound_is(renders):
    """The row of every F0 is louder than a row a quarter tone and more away, also where an excerpt is transposed."""
    config = PitchConfig(NETWORK, pieces=2, seconds=1.0)
    transform, better = NETWORK.transform, []
    for seed in range(12):
        x, _, f0_NT = excerpt(renders, HELD_OUT, config, np.random.default_rng(seed))
        level = transform(torch.from_numpy(x)).abs()
        for n, t in zip(*np.nonzero(f0_NT[:, 5:-5]), strict=True):
            row = round(float(rows_of(torch.tensor([f0_NT[n, t + 5]]), NETWORK)))
            if 12 <= row < 320:
                around = level[row - 9 : row + 10, t + 5]
                better.append(float(around[8:11].max() / around[[0, 1, 2, 16, 17, 18]].max().clamp_min(1e-9)))
    assert len(better) > 500 and np.median(better) > 1.5


def test_pieces_are_rendered_once_and_kept_whole(renders, monkeypatch):
    path = rendered(renders, 0, 16_000, 128)
    kept = load_file(path)
    performance = piece(0, 16_000)
    assert kept["parts"] / 32767 == pytest.approx(performance.parts[:, 0], abs=1e-4)
    assert kept["f0"].shape == (len(performance.names), kept["parts"].shape[1] // 128 + 1)
    for own, track in zip(kept["f0"], performance.tracks, strict=True):
        assert own[100] == pytest.approx(track.at(np.array([0.8])).f0_hz[0])
    monkeypatch.setattr("partbook.train.pitch.piece", None)
    assert rendered(renders, 0, 16_000, 128) == path


def test_a_piece_that_cannot_be_read_is_rendered_again(renders, tmp_path):
    whole = rendered(renders, 1, 16_000, 128).read_bytes()
    path = tmp_path / "16000-128" / "1.safetensors"
    path.parent.mkdir()
    for broken in (b"", whole[:1000], b"{}" * 40):
        path.write_bytes(broken)
        assert rendered(tmp_path, 1, 16_000, 128).read_bytes() == whole
    assert [each.name for each in path.parent.iterdir()] == ["1.safetensors"]


def test_training_reads_no_recordings(tmp_path, monkeypatch):
    """All that is learned from is made by rule and chance: no sound file is opened, and none of the shared folder."""

    def refuse(*args, **kwargs):
        raise AssertionError("a sound file was opened")

    for name in ("read", "blocks", "SoundFile", "info"):
        monkeypatch.setattr(soundfile, name, refuse)
    monkeypatch.setenv("PARTBOOK_SHARED", str(tmp_path / "nowhere"))
    monkeypatch.chdir(tmp_path)
    task = PitchTask(PitchConfig(NETWORK, pieces=1, held_out=1, excerpts=1, seconds=0.5), tmp_path / "renders")
    assert torch.isfinite(task.loss(task.batch(0, 0))[0]) and task.check()
    names = sorted(path.name for path in (tmp_path / "renders").rglob("*") if path.is_file())
    assert names == ["0.safetensors", f"{HELD_OUT}.safetensors"]


def test_validation_is_of_pieces_that_training_never_draws(task, monkeypatch):
    drawn = []

    def noted(folder, seed, *rest):
        drawn.append(seed)
        return rendered(folder, seed % 2, *rest)

    monkeypatch.setattr("partbook.train.pitch.rendered", noted)
    for step in range(10):
        task.batch(0, step)
    assert set(drawn) == {0, 1}
    drawn.clear()
    task.check()
    assert min(drawn) == HELD_OUT


def test_a_few_steps_lower_the_loss(task, renders, tmp_path):
    batch = task.batch(7, 0)
    before = float(task.loss(batch)[0].detach())
    config = LoopConfig(
        steps=16, learning_rate=1e-2, warm_up_steps=2, clip=20.0, averaged=0.5, save_every=8, check_every=16
    )
    model = train(task, config, tmp_path)
    model.train()
    assert float(task.loss(batch)[0].detach()) < 0.8 * before


def test_a_killed_run_goes_on_to_the_bit_in_low_precision(renders, tmp_path):
    config = LoopConfig(steps=4, learning_rate=1e-2, warm_up_steps=1, save_every=2, check_every=4, low_precision=True)

    def stop(record):
        if record["step"] == 3:
            raise KeyboardInterrupt

    whole = train(PitchTask(SMALL, renders), config, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        train(PitchTask(SMALL, renders), config, tmp_path / "cut", on_log=stop)
    resumed = train(PitchTask(SMALL, renders), config, tmp_path / "cut")
    for one, other in zip(whole.state_dict().values(), resumed.state_dict().values(), strict=True):
        assert torch.equal(one, other)


def test_first_weights_follow_from_the_seed_and_leave_no_trace(renders):
    before = torch.random.get_rng_state()
    one, same, other = (PitchTask(SMALL, renders, seed).model.state_dict() for seed in (0, 0, 1))
    assert torch.equal(before, torch.random.get_rng_state())
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not torch.equal(one["look.weight"], other["look.weight"])


@pytest.mark.parametrize("wrong", [{"pieces": 0}, {"excerpts": 0}, {"held_out": -1}, {"seconds": 0.0}])
def test_impossible_settings_are_refused(wrong):
    with pytest.raises(OptionError, match=next(iter(wrong))):
        PitchConfig(**wrong)


def test_pieces_with_recorded_voices_are_some_of_all():
    rng = np.random.default_rng(0)
    seeds = {some_seed(7, 3, rng) for _ in range(300)}
    assert seeds == {0, 1, 2, 3, RECORDED, RECORDED + 1, RECORDED + 2}
    # Without them, seeds are those of before.
    one, other = np.random.default_rng(5), np.random.default_rng(5)
    assert [some_seed(40, 0, one) for _ in range(20)] == [int(other.integers(40)) for _ in range(20)]
    for wrong in (-1, 8):
        with pytest.raises(OptionError, match="from 0 to 7"):
            some_seed(7, wrong, rng)
