"""The material point method in the plane (MLS-MPM) by taichi, for water and for sand.

Hu et al. 2018, A Moving Least Squares Material Point Method (ACM TOG 37, 150): particles carry
mass, velocity and its affine field C to a grid by quadratic B-splines, forces act and walls stop
there, and velocities come back. Numbers are added up in one thread, so that the same start gives
the same bits. Imported only where taichi is installed.

- Water: weakly compressible. A volume J times that at rest has the pressure K (1 - J).
- Sand: Drucker-Prager plasticity with the return mapping of Klar et al. 2016 (ACM TOG 35, 103) on
  Hencky strains, and their correction of volume that was gained in separation.
"""

from collections.abc import Iterator
from contextlib import redirect_stdout
from io import StringIO
from typing import no_type_check

import numpy as np
import taichi as ti
from jaxtyping import Float

from gnsim.datasets.sources.materials import SPACING

#: distance of nodes: two of particles
NODE = 2 * SPACING
#: bulk modulus and viscosity of water
BULK, VISCOSITY = 1000.0, 0.005
#: Lame's parameters of sand, and its angle of friction in degrees
LAMBDA, MU, FRICTION = 300.0, 450.0, 35.0
GRAVITY = 9.8
#: longest time step: a quarter of what sound takes from node to node
_STEP = 2e-4
#: nodes beyond the walls, which B-splines reach
_MARGIN = 3

_slope = np.sin(np.radians(FRICTION))
_CONE = float(np.sqrt(2 / 3) * 2 * _slope / (3 - _slope))
#: mass of a particle, of a density of one
_PARTICLE = SPACING**2


@no_type_check  # of arguments at run time: taichi reads the source of what it compiles
@ti.data_oriented
class Material:
    """So many particles of one material in a box from 0 to `side`.

    Taichi has one state in a process: the material made last is the one that can be moved.
    """

    def __init__(self, particles: int, side: float, sand: bool) -> None:
        with redirect_stdout(StringIO()):  # it prints where it starts
            ti.init(ti.cpu, default_fp=ti.f64, cpu_max_num_threads=1, offline_cache=False)
        self.sand, self.last = sand, round(side / NODE) + _MARGIN
        self.q, self.v = (ti.Vector.field(2, float, particles) for _ in range(2))
        self.affine, self.strain = (ti.Matrix.field(2, 2, float, particles) for _ in range(2))
        self.volume = ti.field(float, particles)
        nodes = (self.last + _MARGIN + 1,) * 2
        self.momentum, self.mass = ti.Vector.field(2, float, nodes), ti.field(float, nodes)

    def frames(
        self,
        q: Float[np.ndarray, "particles 2"],
        v: Float[np.ndarray, "particles 2"],
        count: int,
        interval: float,
    ) -> Iterator[tuple[Float[np.ndarray, "particles 2"], Float[np.ndarray, "particles 2"]]]:
        """Positions and velocities at so many frames, the first of which is `q` and `v`."""
        self.q.from_numpy(q + _MARGIN * NODE)
        self.v.from_numpy(v)
        self.affine.fill(0)
        self.strain.from_numpy(np.tile(np.eye(2), (len(q), 1, 1)))
        self.volume.fill(0.0 if self.sand else 1.0)
        steps = int(np.ceil(interval / _STEP))
        for frame in range(count):
            if frame:
                self._advance(steps, interval / steps)
            yield self.q.to_numpy() - _MARGIN * NODE, self.v.to_numpy()

    def _advance(self, steps: int, dt: float) -> None:
        for _ in range(steps):
            self.momentum.fill(0)
            self.mass.fill(0)
            self._to_grid(dt)
            self._on_grid(dt)
            self._to_particles(dt)

    @ti.func
    def _reached(self, k):
        """The first of three nodes along each axis, the place beyond it, and their weights."""
        place = self.q[k] / NODE
        first = ti.cast(place - 0.5, int)
        beyond = place - first
        weights = ti.Matrix.rows(
            [0.5 * (1.5 - beyond) ** 2, 0.75 - (beyond - 1) ** 2, 0.5 * (beyond - 0.5) ** 2]
        )
        return first, beyond, weights

    @ti.kernel
    def _to_grid(self, dt: float):
        for k in self.q:
            first, beyond, weights = self._reached(k)
            stress = self._sand(k, dt) if ti.static(self.sand) else self._water(k, dt)
            affine = self.affine[k] - 4 * dt / NODE**2 * stress
            for i, j in ti.static(ti.ndrange(3, 3)):
                away = (ti.Vector([i, j]) - beyond) * NODE
                mass = _PARTICLE * weights[i, 0] * weights[j, 1]
                self.momentum[first + ti.Vector([i, j])] += mass * (self.v[k] + affine @ away)
                self.mass[first + ti.Vector([i, j])] += mass

    @ti.kernel
    def _on_grid(self, dt: float):
        """Momenta become velocities: water slips along walls, sand is held by them."""
        for node in ti.grouped(self.mass):
            if self.mass[node] > 0:
                v = self.momentum[node] / self.mass[node] - ti.Vector([0.0, dt * GRAVITY])
                for axis in ti.static(range(2)):
                    if node[axis] <= _MARGIN:
                        v = ti.Vector([0.0, 0.0]) if ti.static(self.sand) else v
                        v[axis] = ti.max(v[axis], 0)
                    if node[axis] >= self.last:
                        v = ti.Vector([0.0, 0.0]) if ti.static(self.sand) else v
                        v[axis] = ti.min(v[axis], 0)
                self.momentum[node] = v

    @ti.kernel
    def _to_particles(self, dt: float):
        for k in self.q:
            first, beyond, weights = self._reached(k)
            v, affine = ti.Vector.zero(float, 2), ti.Matrix.zero(float, 2, 2)
            for i, j in ti.static(ti.ndrange(3, 3)):
                away = (ti.Vector([i, j]) - beyond) * NODE
                weighted = weights[i, 0] * weights[j, 1] * self.momentum[first + ti.Vector([i, j])]
                v += weighted
                affine += 4 / NODE**2 * weighted.outer_product(away)
            self.v[k], self.affine[k] = v, affine
            self.q[k] += dt * v

    @ti.func
    def _water(self, k, dt):
        """Kirchhoff stress after a step of the volume."""
        self.volume[k] *= 1 + dt * self.affine[k].trace()
        pressure = BULK * (1 - self.volume[k])
        shearing = self.affine[k] + self.affine[k].transpose()
        return VISCOSITY * shearing - pressure * ti.Matrix.identity(float, 2)

    @ti.func
    def _sand(self, k, dt):
        """Kirchhoff stress after a step of the strain and its return to the cone of friction."""
        left, stretch, right = ti.svd(
            (ti.Matrix.identity(float, 2) + dt * self.affine[k]) @ self.strain[k]
        )
        hencky = ti.log(ti.Vector([stretch[0, 0], stretch[1, 1]])) + self.volume[k] / 2
        trace = hencky.sum()
        self.volume[k] = ti.max(trace, 0)
        shear = hencky - trace / 2
        if trace >= 0:
            hencky = ti.Vector([0.0, 0.0])
        elif shear.norm() > 0:
            beyond = shear.norm() + (LAMBDA + MU) / MU * trace * _CONE
            hencky -= ti.max(beyond, 0) * shear.normalized()
        self.strain[k] = left @ _diagonal(ti.exp(hencky)) @ right.transpose()
        stress = 2 * MU * hencky + LAMBDA * hencky.sum()
        return left @ _diagonal(stress) @ left.transpose()


@no_type_check
@ti.func
def _diagonal(values):
    return ti.Matrix([[values[0], 0.0], [0.0, values[1]]])
