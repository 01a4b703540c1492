"""Clips of systems of any size, the noise of their pasts, and what is to be learned from them."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from gnsim.clips import Clips
from gnsim.errors import InputError
from gnsim.models.gns import TYPE
from gnsim.models.motion_scales import velocities
from gnsim.state import Trajectory
from gnsim.training.checkpoint import load, save
from gnsim.training.one_step import OneStep, perturbed
from gnsim.training.simulator_config import SimulatorConfig, check_particles, untrained
from gnsim.training.simulator_fit import FittedSimulator, fit_simulator

DT = 0.1
CONFIG = SimulatorConfig(model="gns", history=3, passes=1, hidden=8, precision="float64")


def path(frames: int = 12) -> Trajectory:
    """Systems of three, five and two bodies, each of a number of its own, in free fall."""
    counts = torch.tensor([3, 5, 2])
    nodes = int(counts.sum())
    t = DT * torch.arange(frames, dtype=torch.float64)
    random = torch.Generator().manual_seed(0)
    place, v = torch.randn(2, nodes, 2, generator=random, dtype=torch.float64)
    fall = torch.tensor([0.0, -9.8], dtype=torch.float64)
    at = t[:, None, None]
    own = torch.arange(nodes, dtype=torch.float64)
    return Trajectory(
        t=t,
        q=place + at * v + at**2 * fall / 2 + 1e-3 * torch.sin(own[:, None] + at),
        p=v + at * fall,
        batch=torch.arange(3).repeat_interleave(counts),
        attributes={"charge": own},
    )


def test_clips_are_pieces_of_one_system_each() -> None:
    whole = path()
    clips = Clips(whole, 4)
    drawn = clips.sample(50, torch.Generator().manual_seed(1))
    assert set(drawn.batch.bincount().tolist()) == {2, 3, 5}
    for clip in range(50):
        nodes = drawn.batch == clip
        own = drawn.attributes["charge"][nodes].long()
        q = drawn.q[:, nodes]
        begins = [k for k in range(8) if torch.equal(whole.q[k : k + 5, own], q)]
        assert len(begins) == 1
        assert torch.equal(drawn.p[:, nodes], whole.p[begins[0] : begins[0] + 5, own])
    torch.testing.assert_close(drawn.t, DT * torch.arange(5, dtype=torch.float64))


def test_clips_are_spread_over_all_systems() -> None:
    some = Clips(path(), 4).spread(40)
    assert len(some) == 8
    assert {clip.num_nodes for clip in some} == {2, 3, 5}


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (path(4), "needs 5 frames, found 4"),
        (replace(path(), t=path().t ** 2), "even steps"),
    ],
)
def test_data_that_cannot_be_cut_are_named(wrong: Trajectory, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Clips(wrong, 4)


def test_noise_is_a_walk_of_velocities_and_spares_the_one_to_come() -> None:
    clip = Clips(path(), 4).sample(4_000, torch.Generator().manual_seed(1))
    size = torch.tensor([0.2, 0.5], dtype=torch.float64)
    noisy = perturbed(clip, size, torch.Generator().manual_seed(2))
    off = velocities(noisy.q, None, DT) - velocities(clip.q, None, DT)
    assert torch.equal(noisy.q[0], clip.q[0])
    for step, share in enumerate((1 / 3, 2 / 3, 1)):
        torch.testing.assert_close(off[step].std(0), share**0.5 * size, rtol=0.03, atol=0)
    assert float(off[3].abs().max()) < 1e-12
    steps = off[:3].diff(dim=0)
    assert abs(float((steps[0] * steps[1]).mean())) < 0.03 * float(steps.square().mean())


def test_fixed_bodies_have_no_noise_and_no_say() -> None:
    whole = path()
    fixed = (whole.attributes["charge"] < 4).to(torch.float64)
    held = replace(whole, attributes={**whole.attributes, "fixed": fixed})
    clip = Clips(held, 4).sample(20, torch.Generator().manual_seed(1))
    size = torch.ones(2, dtype=torch.float64)
    noisy = perturbed(clip, size, torch.Generator().manual_seed(2))
    still = clip.attributes["fixed"] != 0
    assert torch.equal(noisy.q[:, still], clip.q[:, still])
    assert not torch.equal(noisy.q[:, ~still], clip.q[:, ~still])
    task = OneStep(untrained(held, CONFIG, 0), held, held, CONFIG)
    assert task._errors(clip).shape == (int((~still).sum()), 2)


def circles(like: Trajectory) -> Trajectory:
    """Each body goes round: its acceleration is its velocity, turned."""
    at = like.t[:, None] + like.attributes["charge"]
    return replace(like, q=like.q[:1] + torch.stack([at.cos(), at.sin()], -1))


class Falling(torch.nn.Module):
    """Says the same of all bodies, and nothing of edges."""

    def __init__(self, scaled: torch.Tensor) -> None:
        super().__init__()
        self.scaled = scaled
        self.dtype = torch.float64

    def forward(
        self, of_node: torch.Tensor, of_edge: torch.Tensor, _: object
    ) -> tuple[torch.Tensor, torch.Tensor]:
        return self.scaled.expand(len(of_node), -1), of_edge.new_zeros(len(of_edge), 2)


def test_the_right_acceleration_has_no_error_and_another_has() -> None:
    whole = path()
    exact = replace(
        whole,
        q=whole.q
        - 1e-3 * torch.sin(whole.q.new_tensor(range(10))[:, None] + whole.t[:, None, None]),
    )
    model = untrained(whole, CONFIG, 0)
    task = OneStep(model, exact, exact, CONFIG)
    fall = torch.tensor([0.0, -9.8], dtype=torch.float64)
    model.network = Falling(model.motion.scaled_acceleration(fall))
    assert task.validation_error() < 1e-9
    quiet, noisy = (
        float(
            OneStep(model, exact, exact, replace(CONFIG, noise=noise)).loss(
                0, torch.Generator().manual_seed(3)
            )
        )
        for noise in (0.0, 0.1)
    )
    assert quiet < 1e-18 < 1e-3 < noisy
    model.network = Falling(model.motion.scaled_acceleration(0.9 * fall))
    assert task.validation_error() > 0.1


def test_it_learns_in_bfloat16_too_and_is_kept_so(tmp_path: Path) -> None:
    whole = circles(path(40))
    small = replace(CONFIG, steps=150, save_every=150, graphs=8, learning_rate=1e-2, noise=0.0)
    small = replace(small, precision="bfloat16")
    fitted = fit_simulator(whole, whole, small, 0)
    begun = fit_simulator(whole, whole, replace(small, steps=1, learning_rate=1e-9), 0)
    assert fitted.validation_error < 0.5 * begun.validation_error
    again = FittedSimulator.load(fitted.save(tmp_path / "model.ckpt"), small)
    state = whole.with_past(5, 3)
    found, expected = (one.model.scaled_acceleration(state) for one in (again, fitted))
    assert torch.equal(found, expected)
    exact = FittedSimulator.load(tmp_path / "model.ckpt", replace(small, precision="float32"))
    difference = (exact.model.scaled_acceleration(state) - expected).abs().max()
    assert 0 < float(difference.detach()) < 0.05


def test_a_model_that_is_not_what_the_settings_say_is_refused(tmp_path: Path) -> None:
    whole = circles(path(40))
    small = replace(CONFIG, steps=1, radius=3.0, save_every=1)
    file = fit_simulator(whole, whole, small, 0).save(tmp_path / "model.ckpt")
    assert FittedSimulator.load(file, small).model.shape.radius == 3.0
    for other in ({"radius": 2.0}, {"hidden": 4096}, {"passes": 100}, {"history": 4}):
        (name,) = other
        with pytest.raises(InputError, match=f"a plan whose {name} is"):
            FittedSimulator.load(file, replace(small, **other))
    checkpoint = load(file)
    for wrong in ({"types": [6, 5]}, {"walls": "no"}):
        plan = {**checkpoint.header["simulator"], **wrong}
        save(file, dict(checkpoint.tensors), {**checkpoint.header, "simulator": plan})
        with pytest.raises(InputError, match="types that are not in order, or walls"):
            FittedSimulator.load(file, small)


@pytest.mark.parametrize(
    ("types", "of_valid", "words"),
    [
        ([5.0, 6.0], [5.0, 7.0], "the part 'valid': particle_type: .* found 7"),
        ([5.0, 5.5], [5.0, 5.5], r"the part 'train': .* found 5\.5"),
        ([-1.0, 5.0], [5.0, 5.0], "found -1"),
    ],
)
def test_types_that_cannot_be_are_named(
    types: list[float], of_valid: list[float], words: str
) -> None:
    parts = {
        part: replace(path(), attributes={TYPE: torch.tensor(kinds * 5)})
        for part, kinds in (("train", types), ("valid", of_valid))
    }
    with pytest.raises(InputError, match=words):
        check_particles(parts)
    check_particles({**parts, "train": parts["valid"]} if types[1] != 5.5 else {"train": path()})


def test_where_nothing_is_free_nothing_is_learned() -> None:
    held = replace(path(), attributes={"fixed": torch.ones(10)})
    with pytest.raises(InputError, match="fixed: wanted bodies that are free"):
        check_particles({"train": held})
