"""F0 and singer learned together: who learns in which phase, what carries a pitch back, and how a run goes on."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from partbook.audio import recording_from_array
from partbook.errors import InputError
from partbook.pitch.contour import METHODS
from partbook.pitch.network import NetworkConfig, SalienceNetwork
from partbook.train.adapting import adapted_hearing
from partbook.train.corpus import Corpus
from partbook.train.joint import LOSSES, PARTS, JointConfig, JointTask, Phase
from partbook.train.loop import LoopConfig, train
from partbook.train.recipes import read_recipe
from partbook.train.singer import SingerTask
from partbook.train.weights import seeded

TINY = NetworkConfig(channels=4, exchanged=1, reach=((1, 1),))
SMALL = JointConfig(singer="untrained", pieces=1, seconds=0.5, most_voices=8, windows_s=(0.128, 0.032))
EVERYTHING = Phase(**dict.fromkeys(LOSSES, 1.0))


def hearing():
    """Return a tiny network that hears somebody everywhere, so that contours are voiced."""
    network = seeded(lambda: SalienceNetwork(TINY), 0)
    network.judge.bias.data.fill_(0.5)
    return network


def duet(seconds=2.0, rate=16_000):
    """Return two voices of some partials, an octave and a bit apart, in one recording."""
    times_s = np.arange(round(seconds * rate)) / rate
    voices = [sum(np.sin(2 * np.pi * k * f0_hz * times_s) / k for k in range(1, 8)) for f0_hz in (440.0, 150.0)]
    return recording_from_array(0.1 * sum(voices), rate, "duet")


def task_of(phases, renders, **others):
    """Return a task on synthetic pieces."""
    return JointTask(replace(SMALL, phases=phases, **others), renders, hearing=hearing())


def moved_by(task, batch):
    """Return which parts of the model a step's gradient reaches."""
    task.model.train()
    task.model.zero_grad(set_to_none=True)
    task.loss(batch)[0].backward()
    return {
        part
        for part in PARTS
        if any(p.grad is not None and p.grad.abs().max() > 1e-5 for p in getattr(task.model, part).parameters())
    }


def test_a_phase_trains_the_parts_that_it_names_and_no_other(renders):
    phases = tuple(replace(EVERYTHING, trained=(part,)) for part in PARTS)
    task = task_of(phases, renders)
    batch, _ = task.batch(0, 0)
    assert [moved_by(task, (batch, number)) for number in range(3)] == [{part} for part in PARTS]


@pytest.mark.parametrize("method", sorted(METHODS))
def test_the_mixture_reaches_the_salience_where_the_contour_has_a_gradient(renders, method):
    """By amplitude there is none, by a sigmoid none away from the threshold; a plain sum of all this is no frequency.

    Such a step teaches nothing, but does not fail.
    """
    task = task_of((Phase(spectral=1.0, trained=("hearing",)),), renders, contour=method, threshold=0.3)
    reached = moved_by(task, task.batch(0, 0))
    assert reached == (set() if method in ("amplitude", "sigmoid", "softmax") else {"hearing"})


def test_every_loss_is_told_by_its_name_and_finite(renders):
    loss, parts = (task := task_of((EVERYTHING,), renders)).loss(task.batch(0, 0))
    assert set(parts) == set(LOSSES) and all(np.isfinite(value) for value in parts.values())
    assert float(loss.detach()) == pytest.approx(sum(parts.values()), rel=1e-5)


def test_in_low_precision_losses_are_nearly_the_same(renders):
    task = task_of((EVERYTHING,), renders)
    batch = task.batch(0, 0)
    whole = task.loss(batch)[1]
    with torch.autocast("cpu", torch.bfloat16):
        low = task.loss(batch)[1]
    assert all(low[name] == pytest.approx(whole[name], rel=0.1, abs=1e-3) for name in whole)


def test_low_precision_is_that_of_what_networks_say_alone(renders):
    task = task_of((EVERYTHING,), renders, contour="path")
    batch = task.batch(0, 0)
    parts, seen = {"hearing": task.model.hearing, "assigner": task.model.assigner}, []
    with torch.no_grad():
        for name, part in parts.items():
            part.register_forward_hook(lambda _, __, said, name=name: seen.append((name, said)))
        task.loss(batch)
        told = dict(seen)
        # What they say being the same, all that becomes of it is the same, to the bit.
        for name, part in parts.items():
            part.register_forward_hook(lambda _, __, said, name=name: seen.append(said.dtype) or told[name])
        whole = task.loss(batch)[1]
        seen.clear()
        with torch.autocast("cpu", torch.bfloat16):
            assert task.loss(batch)[1] == whole
    assert torch.bfloat16 in seen


def test_phases_follow_one_another_and_the_last_lasts():
    config = replace(SMALL, phases=tuple(Phase(steps=n, taught=1.0) for n in (2, 3, 1)))
    assert [config.phase_at(step) for step in range(8)] == [0, 0, 1, 1, 1, 2, 2, 2]


def test_what_normalises_the_salience_network_stays(renders, tmp_path):
    task = task_of((Phase(taught=1.0, trained=("hearing",)),), renders)
    task.check = dict
    before = [value.clone() for value in task.model.hearing.buffers()]
    learned = train(task, LoopConfig(steps=3, warm_up_steps=1), tmp_path).hearing
    assert all(torch.equal(one, other) for one, other in zip(before, learned.buffers(), strict=True))
    assert any(not torch.equal(one, other) for one, other in zip(hearing().parameters(), learned.parameters()))  # noqa: B905


def test_a_run_on_a_recording_goes_on_to_the_bit(tmp_path):
    """Also where what is taught was heard by the network as it was at first."""
    config = replace(SMALL, voices="2", phases=(Phase(steps=2, taught=1.0, trained=("hearing",)), EVERYTHING))
    loop = LoopConfig(steps=4, warm_up_steps=1, save_every=2, check_every=100, learning_rate=1e-2)

    def task():
        made = JointTask(config, tmp_path, 0, Corpus((duet(),), {}), hearing())
        made.check = dict
        return made

    def stop(record):
        if record["step"] == 3:
            raise KeyboardInterrupt

    whole = train(task(), loop, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        train(task(), loop, tmp_path / "cut", on_log=stop)
    resumed = train(task(), loop, tmp_path / "cut")
    for one, other in zip(whole.state_dict().values(), resumed.state_dict().values(), strict=True):
        assert torch.equal(one, other)


def test_the_recipe_of_single_voices_hears_one_at_a_time(renders):
    settings = replace(read_recipe("singer-mono", "singer").settings, pieces=1, scenes=1, seconds=0.5)
    task = SingerTask(settings, renders)
    batch = task.batch(0, 0)
    assert batch.comb_BNFT.shape[1] == 1 and batch.groups == ((0,),)
    loss, _ = task.loss(batch)
    loss.backward()
    assert loss.detach() > 0 and all(p.grad.isfinite().all() for p in task.model.parameters() if p.grad is not None)


def test_sound_is_compared_where_the_singer_has_tracts(renders):
    phase = Phase(spectral=1.0, given=True, trained=("singer",))
    task = task_of((phase,), renders, sound=True, order=8)
    assert moved_by(task, task.batch(0, 0)) == {"singer"}
    with pytest.raises(InputError, match="a singer with tracts to make sound, got none"):
        _ = task_of((phase,), renders, sound=True).model


def test_rates_are_shares_of_the_learning_rate(renders, tmp_path):
    task = task_of((EVERYTHING,), renders, hearing_rate=0.0)
    task.check = dict
    learned = train(task, LoopConfig(steps=1, warm_up_steps=1, averaged=0.0, weight_decay=0.0), tmp_path)
    still = zip(hearing().parameters(), learned.hearing.parameters(), strict=True)
    assert all(torch.equal(one, other) for one, other in still)
    assert learned.assigner.answer.weight.abs().max() > 0


def test_models_of_a_run_begin_another_one_and_are_checked(renders, tmp_path):
    from partbook.train.weights import write_model

    first = task_of((EVERYTHING,), renders).model
    first.assigner.answer.bias.data.fill_(0.25)
    told = dict.fromkeys(("about", "licence", "recipe", "figures"), "")
    write_model(tmp_path, "mine", first, first.settings(), told)
    config = replace(SMALL, **dict.fromkeys(PARTS, str(tmp_path)))
    again = JointTask(config, renders).model
    assert all(torch.equal(a, b) for a, b in zip(first.state_dict().values(), again.state_dict().values(), strict=True))
    path = tmp_path / "mine.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(InputError, match=r"weights with sha256 .*mine\.safetensors with"):
        _ = JointTask(config, renders).model
    with pytest.raises(InputError, match=r"one of the models .*, got 'sing'; try singer"):
        _ = JointTask(replace(SMALL, singer="sing"), renders).model
    with pytest.raises(InputError, match="a model for the hearing of this version, got singer"):
        _ = JointTask(replace(SMALL, hearing="singer"), renders).model


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"contour": "locl"}, "a way from salience to F0, got 'locl'; try local"),
        ({"phases": ()}, "at least one phase"),
        ({"voices": "SAX"}, "letters of S M A T R B"),
        ({"mixtures": 0}, "mixtures from 1"),
    ],
)
def test_impossible_settings_are_refused(wrong, said):
    with pytest.raises(InputError) as error:
        replace(SMALL, **wrong)
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"spectral": 0.0}, "a loss above 0"),
        ({"trained": ()}, "one trained part"),
        ({"trained": ("sing",)}, "got 'sing'; try singer"),
        ({"steps": 0}, "at least one step"),
    ],
)
def test_impossible_phases_are_refused(wrong, said):
    with pytest.raises(InputError) as error:
        Phase(**{"spectral": 1.0} | wrong)
    assert said in str(error.value)


def test_a_recording_teaches_the_network_what_the_decoder_makes_of_it():
    """Having learned from the paths, the network is closer to them than it was."""
    recording, first = duet(3.0), hearing()
    events = []
    learned = adapted_hearing([recording], "2", hearing=first, steps=12, on_progress=events.append)
    assert {event.stage for event in events} == {"train"} and not learned.training
    config = replace(SMALL, voices="2", transpose_semitones=0.0, seconds=2.0, phases=(Phase(taught=1.0),))
    task = JointTask(config, None, 0, Corpus((recording,), {}), first)
    batch = task.batch(0, 0)
    before = task.loss(batch)[1]["taught"]
    task.model.hearing.load_state_dict(learned.state_dict())
    assert task.loss(batch)[1]["taught"] < 0.98 * before
    assert json.dumps(task.model.settings())
