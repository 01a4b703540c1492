"""The radial network: symmetric in its two bodies, a gradient by construction, repeatable."""

import pytest
import torch

from gnsim.models.radial import RadialNetwork

QUADRATURE = 1e-9
PAIRS = 40


def network(*attributes: str, seed: int = 0, hidden: int = 16) -> RadialNetwork:
    made = RadialNetwork(attributes, hidden, torch.Generator().manual_seed(seed)).double()
    made.fit_scales(distances(), values(1))
    return made


def distances() -> torch.Tensor:
    return torch.logspace(-1, 1, PAIRS, dtype=torch.float64)


def values(seed: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    mass = torch.rand(PAIRS, generator=generator, dtype=torch.float64) + 0.2
    charge = torch.randn(PAIRS, generator=generator, dtype=torch.float64)
    return {"mass": mass, "charge": charge}


class OneSided(RadialNetwork):
    """Broken on purpose: the two bodies are not treated alike."""

    def _symmetric(self, source: dict, target: dict) -> tuple[torch.Tensor, torch.Tensor]:
        sums, products = super()._symmetric(source, target)
        return sums - self._features(target), products


def asymmetry(pair: RadialNetwork) -> float:
    one, other = values(1), values(2)
    forward = pair.force(distances(), one, other)
    return float((forward - pair.force(distances(), other, one)).detach().abs().max())


def test_symmetric_in_the_two_bodies() -> None:
    assert asymmetry(network("charge", "mass")) == 0


def test_one_body_that_counts_less_is_seen_to_be_asymmetric() -> None:
    broken = OneSided(("charge", "mass"), 16, torch.Generator().manual_seed(0)).double()
    assert asymmetry(broken) > 1e-3


def test_a_product_of_charges_is_one_of_the_inputs() -> None:
    """And so is a product of two attributes, both ways round."""
    pair, one, other = network("charge", "mass"), values(1), values(2)
    _, products = pair._symmetric(one, other)
    c_i, c_j = (pair._features(v)[:, 0] for v in (one, other))
    m_i, m_j = (pair._features(v)[:, 1] for v in (one, other))
    wanted = torch.stack([c_i * c_j, (c_i * m_j + m_i * c_j) / 2, m_i * m_j], 1)
    assert torch.allclose(products, wanted, atol=1e-12)


def test_an_attribute_named_like_a_scale_of_the_network_does_not_touch_it() -> None:
    pair = RadialNetwork(("log_r",), 16, torch.Generator().manual_seed(0)).double()
    pair.fit_scales(distances(), {"log_r": torch.full((PAIRS,), 7.0, dtype=torch.float64)})
    assert float(pair.shift_log_r) == pytest.approx(float(distances().log().mean()))


@pytest.mark.parametrize("attributes", [(), ("mass",), ("charge", "mass")])
def test_force_is_the_derivative_of_the_energy(attributes: tuple[str, ...]) -> None:
    pair = network(*attributes)
    r = distances().requires_grad_()
    energy = pair.energy(r, values(1), values(2))
    (slope,) = torch.autograd.grad(energy.sum(), r)
    force = pair.force(r, values(1), values(2))
    assert ((slope - force).abs() / force.abs().max()).max() < QUADRATURE


def test_energy_vanishes_at_the_reference() -> None:
    pair = network()
    r = torch.tensor([pair.reference], dtype=torch.float64)
    assert pair.energy(r, {}, {}).abs().max() < QUADRATURE
    assert pair.reference == pytest.approx(float(distances().log().mean().exp()))


def test_scales_centre_the_inputs() -> None:
    pair = network("charge", "mass")
    logs = distances().log()
    assert float(pair.shift_log_r) == pytest.approx(float(logs.mean()))
    assert float(pair.scale_log_r) == pytest.approx(float(logs.std()))
    assert float(pair.shift_of_mass) == pytest.approx(float(values(1)["mass"].log().mean()))
    assert float(pair.scale_of_charge) == pytest.approx(float(values(1)["charge"].std()))
    features = pair._features(values(1))
    assert features.mean(0).abs().max() < 1e-6
    assert (features.std(0) - 1).abs().max() < 1e-6


def test_the_unit_of_length_does_not_matter() -> None:
    near, far = network(), network()
    far.fit_scales(1e9 * distances(), values(1))
    difference = near.force(distances(), {}, {}) - far.force(1e9 * distances(), {}, {})
    assert difference.abs().max() < 1e-9


def test_equal_values_of_an_attribute_do_not_divide_by_zero() -> None:
    pair = network("mass")
    same = {"mass": torch.ones(PAIRS, dtype=torch.float64)}
    pair.fit_scales(distances(), same)
    assert torch.isfinite(pair.force(distances(), same, same)).all()


def test_a_seed_repeats_to_the_bit() -> None:
    first, again, other = network(seed=3), network(seed=3), network(seed=4)
    torch.manual_seed(12345)  # the global state must not matter
    r = distances()
    assert torch.equal(first.force(r, {}, {}), again.force(r, {}, {}))
    assert not torch.equal(first.force(r, {}, {}), other.force(r, {}, {}))
