from dataclasses import replace

import numpy as np
import pytest
import torch

from partbook.errors import InputError, OptionError
from partbook.singer.model import SingerConfig
from partbook.train.loop import LoopConfig, train
from partbook.train.singer import RATE, SingerTask, SingerTaskConfig, combs, frames, mistaken, resting, strayed
from partbook.zoo import load

SMALL = SingerTaskConfig(
    SingerConfig(bands=12, channels=6, rounds=2, dilations=(1,)), pieces=2, scenes=1, seconds=1.0, voices=(4,)
)


@pytest.fixture(scope="module")
def renders(tmp_path_factory):
    """Return the folder of rendered pieces that the tests share."""
    return tmp_path_factory.mktemp("renders")


@pytest.fixture
def task(renders):
    return SingerTask(SMALL, renders)


def test_a_batch_follows_from_seed_and_step_alone(task, renders):
    first, again, other = task.batch(0, 3), SingerTask(SMALL, renders).batch(0, 3), task.batch(0, 4)
    assert torch.equal(first.mixture_BFT, again.mixture_BFT) and torch.equal(first.comb_BNFT, again.comb_BNFT)
    assert not torch.equal(first.mixture_BFT, other.mixture_BFT)


def test_the_loss_sees_recordings_of_several_voices_never_one(task):
    for voices in (4, 5):
        batch = task.scenes(np.random.default_rng(0), voices, lambda: 0)
        assert sorted(n for group in batch.groups for n in group) == list(range(voices))
        assert min(map(len, batch.groups)) >= 2
    assert len(task.scenes(np.random.default_rng(0), 3, lambda: 0).groups) == 1


def test_the_others_of_a_section_belong_to_its_voice(renders, monkeypatch):
    """What joins a voice is in its recording as well as in the mixture, and its F0 stays that of one singer."""
    joined = []

    def noted(parts_NS, rate, rng, others_db):
        joined.append(others_db)
        return 2 * parts_NS

    monkeypatch.setattr("partbook.train.singer.in_sections", noted)
    alone = SingerTask(replace(SMALL, rests=0.0), renders)
    together = SingerTask(replace(SMALL, rests=0.0, sections=1.0, others_db=(-9.0, 1.0)), renders)
    plain = alone.batch(0, 0)
    assert not joined
    section = together.batch(0, 0)
    assert joined == SMALL.scenes * [(-9.0, 1.0)]
    assert torch.allclose(section.recordings_GBFT, 2 * plain.recordings_GBFT, atol=1e-4)
    assert torch.equal(section.f0_hz, plain.f0_hz)


def test_training_begins_with_the_weights_that_are_named(renders):
    shipped, settings = load("singer")
    named = SingerTask(SingerTaskConfig(weights="singer"), renders).model
    assert named.config == SingerConfig.from_json(settings)
    assert all(torch.equal(weight, shipped[name]) for name, weight in named.state_dict().items())
    for wrong, said in (("sinner", "one of the models pitch, singer"), ("pitch", "a model for the singer")):
        with pytest.raises(InputError, match=said):
            SingerTask(SingerTaskConfig(weights=wrong), renders).model  # noqa: B018
    with pytest.raises(OptionError, match="the network of singer, or none"):
        SingerTask(replace(SMALL, weights="singer"), renders).model  # noqa: B018


def test_powers_are_never_of_low_precision(renders):
    task = SingerTask(SMALL, renders)
    batch, losses = task.batch(0, 0), []
    for low in (False, True):
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=low):
            losses.append(float(task.loss(batch)[0]))
    assert losses[0] == losses[1]


def test_low_precision_is_that_of_gains_alone(renders):
    fine = replace(SMALL.network, partial_rounds=1, fine_channels=4)
    task = SingerTask(replace(SMALL, network=fine), renders)
    for look in (*task.model.partials, task.model.finish):
        torch.nn.init.normal_(look.answer.weight, generator=torch.Generator().manual_seed(0))
    batch, losses = task.batch(0, 0), []
    for low in (False, True):
        task.model.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=low):
            loss, _ = task.loss(batch)
        loss.backward()
        assert loss.dtype == torch.float32
        losses.append(torch.cat([loss.detach()[None], *(w.grad.flatten() for w in task.model.parameters())]))
    exact, low = losses
    assert not torch.equal(exact, low)
    assert float((exact - low)[1:].norm() / exact[1:].norm()) < 0.1 and float(exact[0]) == pytest.approx(
        float(low[0]), rel=1e-2
    )


def test_recordings_and_noise_are_the_mixture(task):
    batch = task.batch(0, 0)
    rest = batch.mixture_BFT - batch.recordings_GBFT.sum(0)
    assert 0 < rest.abs().square().mean() < 10**-1.4 * batch.mixture_BFT.abs().square().mean()


@pytest.mark.parametrize(("near", "looked"), [(0.5, 0.25), (1.0, 1.0), (0.1, 0.4)])
def test_bins_are_looked_at_where_partials_are(renders, near, looked):
    task, places = SingerTask(replace(SMALL, near=near, looked=looked), renders), set()
    for step in range(12):
        batch = task.batch(0, step)
        count = batch.f0_hz.shape[-1]
        assert 0 <= batch.near.start <= batch.looked.start < batch.looked.stop <= batch.near.stop <= count
        assert batch.looked.stop - batch.looked.start == round(looked * count)
        assert batch.near.stop - batch.near.start == max(round(looked * count), round(near * count))
        places.add(batch.near.start)
    assert len(places) > 4 or near == looked == 1


def test_training_lowers_the_loss_and_resumes_exactly(task, renders, tmp_path):
    config = LoopConfig(steps=6, warm_up_steps=1, save_every=3, check_every=100, learning_rate=1e-2)
    batch = task.batch(0, 0)
    before = float(task.loss(batch)[0].detach())
    task.check = dict
    whole = train(task, config, tmp_path / "whole")
    assert float(whole.train() is task.model and task.loss(batch)[0].detach()) < before
    cut = SingerTask(SMALL, renders)
    cut.check = dict
    steps = []

    def stop(record):
        steps.append(record["step"])
        if record["step"] == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(cut, config, tmp_path / "cut", on_log=stop)
    again = SingerTask(SMALL, renders)
    again.check = dict
    resumed = train(again, config, tmp_path / "cut")
    for one, other in zip(whole.state_dict().values(), resumed.state_dict().values(), strict=True):
        assert torch.equal(one, other)


def test_recordings_of_an_ensemble_itself_train_by_their_likelihood(renders):
    task = SingerTask(replace(SMALL, together=True), renders)
    loss, parts = task.loss(task.batch(0, 0))
    loss.backward()
    assert parts["error_db"] == 0 and parts["likelihood"] > 0
    assert all(torch.isfinite(weight.grad).all() for weight in task.model.parameters() if weight.grad is not None)


def test_combs_peak_at_one_and_only_where_a_voice_sounds(task):
    f0_hz = torch.full((1, 1, 126), 250.0)
    f0_hz[..., 63:] = 0
    comb = combs(f0_hz, task.stft, RATE)[0, 0]
    at_hz = frames(f0_hz, task.stft, comb.shape[-1])[0, 0]
    assert comb[32, 8] == pytest.approx(1, abs=0.05), "250 Hz is bin 32"
    assert comb[:, 24:].max() < 1e-3 and (at_hz[24:] == 0).all() and (at_hz[:14] == 250).all()


def test_mistakes_are_those_of_a_tracker():
    rng = np.random.default_rng(0)
    truth = np.full(500, 220.0)
    truth[200:260] = 0
    told = np.stack([mistaken(truth, rng, 6.0, 3) for _ in range(50)])
    voiced = told > 0
    assert np.abs(1200 * np.log2(told[voiced] / 220)).max() < 40
    assert not voiced[:, 215:245].any() and 0.85 < voiced[:, truth > 0].mean() < 1


def test_a_voice_that_rests_has_neither_sound_nor_f0():
    parts, f0 = np.ones((200, 128 * 100)), np.full((200, 101), 200.0)
    heard, told = resting(parts, f0, 0.5, np.random.default_rng(0))
    assert 0.35 < (told == 0).any(1).mean() < 0.65
    assert np.array_equal(heard[:, ::128] > 0, told[:, :100] > 0) and np.abs(np.diff(heard)).max() < 0.01
    for same, given in zip(resting(parts, f0, 0.0, np.random.default_rng(0)), (parts, f0), strict=True):
        assert np.array_equal(same, given)


def test_an_f0_that_strays_follows_others_for_a_while_or_sounds_in_rests():
    truth = np.stack([np.full(300, hz) for hz in (110.0, 165.0, 220.0)])
    truth[:, 100:150] = 0
    told = np.stack([strayed(truth, np.random.default_rng(seed)) for seed in range(60)])
    astray = told != truth
    assert 0.02 < astray.mean() < 0.3 and (told >= 0).all()
    assert (told[:, :, 100:150] > 0).any() and not told[:, :, 100:150].all(-1).any(-1).all()
    others = (told[:, 0] == 165) | (told[:, 0] == 220)
    assert 0 < others[:, truth[0] > 0].mean() < 0.1
