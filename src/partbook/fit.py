"""One loop that fits every pair of a source model and a room model to a recording.

The mixture's model power is ``y = sum_n g_n lambda_n`` and its observed power is ``x``. Whatever the room is, a source
model needs two tensors of it, both of shape (N, F, T), at the current powers:

- ``up = sum_m g x y^(beta-2)`` pulls a power up where the recording has more than the model;
- ``down = sum_m g y^(beta-1)`` pulls it down.

``down - up`` is the exact gradient of the beta divergence with respect to the power (beta 0: Itakura-Saito, the
likelihood of a Gaussian model; 1: Kullback-Leibler; 2: Euclidean), and the multiplicative update of a non-negative
factor ``a`` with ``lambda = sum a b`` is ``a <- a * (sum b up / sum b down)^gamma`` (Févotte & Idier, "Algorithms for
nonnegative matrix factorization with the beta-divergence", Neural Computation 2011), which never raises the divergence.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar, runtime_checkable

from jaxtyping import Float
from torch import Tensor

from .axes import Power_NFT
from .progress import OnProgress, Progress


@runtime_checkable
class Sources(Protocol):
    """A model of the power of every source. Immutable: an update returns the next model."""

    @property
    def parts(self) -> tuple[str, ...]:
        """Names of the groups of parameters, updated one after the other."""
        ...

    def power(self) -> Power_NFT:
        """Return the power of every source."""
        ...

    def update(self, part: str, up: Power_NFT, down: Power_NFT, beta: float) -> Sources:
        """Return the model after one multiplicative update of one group of parameters."""
        ...

    def rescale(self, gain_NF: Float[Tensor, "N F"]) -> Sources:
        """Return the model with every source's power multiplied by a static gain per bin."""
        ...


@runtime_checkable
class Room(Protocol):
    """How the sources reach the microphones. Immutable."""

    def pressure(self, observed: Tensor, lambda_NFT: Power_NFT, beta: float) -> tuple[Power_NFT, Power_NFT]:
        """Return the multiplicative pull up and pull down at these powers."""
        ...

    def update(self, observed: Tensor, lambda_NFT: Power_NFT) -> tuple[Room, Float[Tensor, "N F"] | None]:
        """Return the next room and the gain it moved from itself to the sources, if any."""
        ...

    def divergence(self, observed: Tensor, lambda_NFT: Power_NFT, beta: float) -> float:
        """Return the divergence of the recording from the model (smaller is better)."""
        ...


S = TypeVar("S", bound=Sources)
R = TypeVar("R", bound=Room)


def fit(
    observed: Tensor,
    sources: S,
    room: R,
    *,
    iterations: int,
    beta: float,
    fixed_room: bool = False,
    together: bool = False,
    checked: Callable[[int, S, R], S] | None = None,
    on_progress: OnProgress | None = None,
    stage: str = "fit",
) -> tuple[S, R]:
    """Fit sources and room to a recording by alternating updates.

    Parameters
    ----------
    observed
        What the room reads: power (F, T) for one microphone, spectra (M, F, T) for several.
    sources, room
        Where to start; unchanged.
    iterations
        Rounds over every group of parameters.
    beta
        Divergence, 0 to 2. With several microphones 0, the likelihood: the room's update needs it.
    fixed_room
        Leave the room as it is.
    together
        Compute the pull once a round, for all groups of parameters: as good in practice and cheaper where the pull is
        the price, but only the updates one after the other are known never to raise the divergence.
    checked
        Called after every round with its number, from 1 on, the sources and the room; returns the sources to go on
        with. For what is known of the sources and no update obeys.
    on_progress, stage
        Where and under which name to report.

    Returns
    -------
    tuple
        The fitted sources and room.
    """
    progress = Progress(stage, iterations, on_progress)
    for done in range(1, iterations + 1):
        for number, part in enumerate(sources.parts):
            if number == 0 or not together:
                up, down = room.pressure(observed, sources.power(), beta)
            sources = sources.update(part, up, down, beta)
        if not fixed_room:
            room, gain_NF = room.update(observed, sources.power())
            if gain_NF is not None:
                sources = sources.rescale(gain_NF)
        if checked is not None:
            sources = checked(done, sources, room)
        progress.step()
    return sources, room
