from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

_Array = NDArray[np.float64]
_Prior = tuple[str, list[float]]
_Block = tuple[int, int, bool]
_Progress = Callable[[list[int], list[int], list[int]], object] | None

class _Bounded(Protocol):
    @property
    def kernel(self) -> _Prior: ...
    @property
    def low(self) -> float: ...
    @property
    def high(self) -> float: ...

class _Scalar(_Bounded, Protocol):
    @property
    def unit(self) -> float: ...
    @property
    def start(self) -> float: ...
    @property
    def signed(self) -> bool: ...

class _Covariance(Protocol):
    @property
    def q(self) -> int: ...
    @property
    def blocks(self) -> list[_Block]: ...
    @property
    def lkj_eta(self) -> float: ...
    @property
    def correlations(self) -> Sequence[_Bounded] | None: ...

class _Row(Protocol):
    @property
    def kernel(self) -> _Prior: ...
    @property
    def row(self) -> list[float]: ...
    @property
    def shift(self) -> float: ...

class _Thresholds(Protocol):
    @property
    def increments(self) -> list[float]: ...
    @property
    def priors(self) -> Sequence[_Row]: ...

class _Asked(Protocol):
    @property
    def chains(self) -> int: ...
    @property
    def draws(self) -> int: ...
    @property
    def warmup(self) -> int: ...
    @property
    def warmup_given(self) -> bool: ...
    @property
    def seed(self) -> int: ...
    @property
    def threads(self) -> int: ...
    @property
    def max_depth(self) -> int: ...

class CrossProducts:
    def __new__(
        cls,
        *,
        z: _Array,
        xy: _Array,
        codes: NDArray[np.int64],
        n_levels: int,
        unscale: _Array,
        row_scale: _Array | None = None,
        n_rows: int | None = None,
        threads: int = 1,
    ) -> CrossProducts: ...
    @staticmethod
    def of_cells(
        *,
        z: _Array,
        xy: _Array,
        steps: _Array,
        weight: _Array,
        mean: _Array,
        root: _Array,
        fixed: _Array,
        sd: _Array,
        codes: NDArray[np.int64],
        n_levels: int,
        unscale: _Array,
        n_rows: int,
        threads: int,
    ) -> CrossProducts: ...
    @staticmethod
    def from_parts(*, r: _Array, b: _Array, w: _Array, n_rows: int) -> CrossProducts: ...
    @property
    def n_levels(self) -> int: ...
    @property
    def n_rows(self) -> int: ...
    def projected(self, n_rows: int) -> CrossProducts: ...
    def parts(self) -> tuple[_Array, _Array, _Array, int]: ...

class Blocks:
    def __new__(
        cls,
        *,
        z: list[_Array],
        codes: list[NDArray[np.int64]],
        n_levels: list[int],
        unscale: list[_Array],
        xy: _Array,
        row_scale: _Array | None = None,
    ) -> Blocks: ...
    @staticmethod
    def from_parts(
        *,
        unscale: list[_Array],
        n_levels: list[int],
        row: list[int],
        column: list[int],
        value: _Array,
        width: int,
        n_rows: int,
    ) -> Blocks: ...
    def parts(self) -> tuple[NDArray[np.int64], NDArray[np.int64], _Array]: ...
    @property
    def unscale(self) -> list[_Array]: ...
    @property
    def n_levels(self) -> list[int]: ...
    @property
    def n_rows(self) -> int: ...
    @property
    def width(self) -> int: ...
    @property
    def cost(self) -> tuple[float, float]: ...
    def at(self, factors: list[_Array]) -> tuple[float, _Array]: ...
    def slopes(self, factors: list[_Array], omega: _Array) -> list[_Array]: ...
    def pull(self, factors: list[_Array]) -> list[_Array]: ...
    def variances(self, factors: list[_Array]) -> list[_Array]: ...
    def node_moments(
        self,
        *,
        covariance: list[_Array],
        sigma: list[float],
        prior: _Array,
        sampled: _Array,
        maps: list[_Array],
        back: list[_Array],
        threads: int,
    ) -> list[tuple[_Array, _Array]]: ...
    def log_densities(
        self,
        *,
        covariance: list[_Array],
        sigma: list[float],
        prior: _Array,
        sampled: _Array,
        threads: int,
    ) -> _Array: ...
    def leave_rows_out(
        self,
        *,
        z: list[_Array],
        codes: list[NDArray[np.int64]],
        xy: _Array,
        row_scale: _Array,
        covariance: list[_Array],
        sigma: list[float],
        prior: _Array,
        sampled: _Array,
        threads: int,
    ) -> _Array: ...
    def draws(
        self,
        *,
        covariance: list[_Array],
        sigma: list[float],
        contrast: _Array,
        first: int,
        last: int,
        seed: int,
        threads: int,
    ) -> _Array: ...

class Integrated:
    def __new__(
        cls,
        *,
        zz: _Array,
        zb: _Array,
        sigma: _Array,
        covariance: _Array,
        flat_w: _Array,
        contrast: _Array,
        total: _Array,
        prior: _Array,
        n_integrated: int,
        threads: int,
    ) -> Integrated: ...
    def coefficients(self) -> tuple[_Array, _Array]: ...
    def leave_rows_out(
        self,
        *,
        z: _Array,
        b: _Array,
        level: NDArray[np.int64],
        scale: _Array,
        y: _Array,
        relative: float,
        threads: int,
    ) -> _Array: ...

class Density:
    @property
    def dim(self) -> int: ...
    @property
    def n_outputs(self) -> int: ...
    def start(self) -> list[float]: ...
    def logp_and_grad(self, u: _Array) -> tuple[float, _Array]: ...
    def time_evaluation(self, repeats: int) -> float: ...
    def sample(
        self,
        *,
        asked: _Asked,
        progress: _Progress,
        judge: Callable[[list[_Array]], int] | None = None,
        surrogate: bool = True,
        design: bool | None = None,
    ) -> dict[str, Any]: ...

class Marginal(Density):
    def __new__(
        cls,
        *,
        data: CrossProducts | Blocks,
        sd: Sequence[_Scalar | float],
        covariances: Sequence[_Covariance],
        sigma: _Scalar | float,
        sampled: Sequence[_Scalar],
        sampled_map: _Array,
        sampled_shift: list[float],
        prior_rows: _Array,
        constant: float,
    ) -> Marginal: ...
    def constrain(self, u: _Array) -> dict[str, Any]: ...

class Joint:
    def __new__(
        cls,
        *,
        data: CrossProducts,
        map: _Array,
        shift: list[float],
        t: _Array,
        base: list[float],
        unback: _Array,
        prior_rows: _Array,
        b: Sequence[_Bounded],
        sd: Sequence[_Bounded],
        pairs: list[tuple[int, int]],
        lkj_eta: float,
        correlations: Sequence[_Bounded] | None,
        fixed_sd: list[float],
        bounds: list[tuple[float, float]],
        sigma: _Bounded | None,
    ) -> Joint: ...
    @property
    def dim(self) -> int: ...
    def logp(self, theta: _Array) -> float: ...
    def metropolis(
        self,
        *,
        starts: _Array,
        proposal_sd: list[float],
        draws: int,
        warmup: int,
        seed: int,
        threads: int,
        progress: _Progress,
    ) -> dict[str, Any]: ...

class Factor:
    @staticmethod
    def hierarchical(
        *,
        codes: NDArray[np.int64],
        z: _Array,
        n_levels: int,
        sd: Sequence[_Scalar],
        blocks: list[_Block],
        lkj_eta: float,
        correlations: Sequence[_Bounded] | None,
        twin: _Array | None,
    ) -> Factor: ...
    @staticmethod
    def normal(
        *,
        codes: NDArray[np.int64],
        z: _Array,
        n_levels: int,
        factor: _Array,
        mean: list[float],
    ) -> Factor: ...
    @staticmethod
    def separate(
        *,
        codes: NDArray[np.int64],
        z: _Array,
        n_levels: int,
        scalars: Sequence[_Scalar],
    ) -> Factor: ...

class Part:
    def __new__(
        cls,
        *,
        x: _Array,
        offset: _Array | None,
        start: list[float],
        bounded: Sequence[_Scalar | None],
        map: _Array,
        unmap: _Array,
        shift: list[float],
        priors: Sequence[_Row],
        factors: list[Factor],
    ) -> Part: ...
    @property
    def start(self) -> list[float]: ...

class General(Density):
    def __new__(
        cls,
        *,
        family: str,
        link: str,
        y: _Array,
        trials: _Array | None,
        weights: _Array | None,
        merged: tuple[_Array, _Array] | None,
        constant: float,
        parts: list[Part],
        dispersion: Sequence[_Scalar],
        thresholds: _Thresholds | None,
        walked: bool,
    ) -> General: ...
    @property
    def n_rows(self) -> int: ...
    def constrain(self, u: _Array) -> _Array: ...

class Mode:
    @property
    def value(self) -> float: ...
    @property
    def r(self) -> list[_Array]: ...

class Laplace:
    def __new__(
        cls,
        *,
        family: str,
        link: str,
        y: _Array,
        trials: _Array | None,
        weights: _Array | None,
        part: Part,
        of_sigma: tuple[Part, float] | None = None,
    ) -> Laplace: ...
    def mode(
        self,
        *,
        c: list[float],
        factors: list[_Array],
        aux: list[float],
        start: Mode | None = None,
    ) -> Mode | None: ...
    def slopes(self, mode: Mode) -> tuple[_Array, list[_Array], _Array] | None: ...
    def left_out(
        self, *, mode: Mode, factor: int, nodes: list[float], weights: list[float]
    ) -> float | None: ...
    def conditionals(self, mode: Mode) -> list[tuple[_Array, _Array]] | None: ...

class Approximation:
    def __new__(cls, general: General) -> Approximation: ...
    @property
    def n_outputs(self) -> int: ...
    @property
    def n_parameters(self) -> int: ...
    def start(self) -> list[float]: ...
    def at(self, theta: _Array, seed: int) -> tuple[float, float, _Array] | None: ...
    def levels(self, rows: _Array, threads: int) -> list[_Array]: ...
    def sample(
        self,
        *,
        asked: _Asked,
        progress: _Progress,
        judge: Callable[[list[_Array]], int] | None = None,
    ) -> dict[str, Any]: ...

def group_draws(
    *,
    data: CrossProducts,
    covariance: _Array,
    sigma: _Array,
    coefficients: _Array,
    back: _Array,
    first: int,
    last: int,
    seed: int,
    threads: int,
) -> _Array: ...
def node_coefficients(
    *,
    data: CrossProducts,
    prior: _Array,
    covariance: _Array,
    sigma: _Array,
    u: _Array,
    n_integrated: int,
    threads: int,
) -> tuple[_Array, _Array]: ...
def level_summary(
    *,
    data: CrossProducts,
    covariance: _Array,
    sigma: _Array,
    u: _Array,
    root: _Array,
    back: _Array,
    population: _Array,
    shift: _Array,
    weights: _Array,
    levels: NDArray[np.int64],
    probabilities: tuple[float, float],
    threads: int,
) -> _Array: ...
def row_summary(
    *,
    data: CrossProducts,
    covariance: _Array,
    sigma: _Array,
    u: _Array,
    root: _Array,
    back: _Array,
    weights: _Array,
    levels: NDArray[np.int64],
    a: _Array,
    z: _Array,
    noise: _Array,
    probabilities: tuple[float, float],
    threads: int,
) -> _Array: ...
def draw_summary(*, draws: _Array, probabilities: tuple[float, float], threads: int) -> _Array: ...
def mixture_summary(
    *,
    means: _Array,
    variances: _Array,
    weights: _Array,
    probabilities: tuple[float, float],
    threads: int,
) -> _Array: ...
def row_densities(
    *,
    family: str,
    link: str,
    y: _Array,
    trials: _Array,
    weights: _Array,
    eta: _Array,
    log_sigma: _Array,
    aux: _Array,
    threads: int,
) -> _Array: ...
def family_rows(
    *,
    family: str,
    link: str,
    y: _Array,
    trials: _Array,
    weights: _Array,
    eta: _Array,
    log_sigma: _Array,
    aux: _Array,
) -> tuple[_Array, _Array, _Array, _Array]: ...
def link_probabilities(*, link: str, eta: _Array, threads: int) -> tuple[_Array, _Array]: ...
def diagnose(draws: _Array, threads: int) -> _Array: ...
def leave_out(*, log_density: _Array, relative: float, threads: int) -> tuple[_Array, _Array]: ...

class Cells:
    def __new__(cls, *, columns: int, weighted: bool) -> Cells: ...
    def add(
        self,
        *,
        codes: NDArray[np.int64],
        values: _Array,
        origin: _Array,
        weights: _Array | None,
        threads: int,
    ) -> None: ...
    def join(
        self,
        *,
        codes: NDArray[np.int64],
        n: NDArray[np.int64],
        weight: _Array,
        mean: _Array,
        root: _Array,
    ) -> None: ...
    def parts(
        self,
        *,
        order: NDArray[np.int64] | None = None,
        constant: bool = False,
        threads: int = 1,
    ) -> tuple[NDArray[np.int64], _Array, _Array, _Array]: ...
    def overall(self, threads: int) -> tuple[_Array, _Array, _Array, _Array, float]: ...
    def count(self) -> int: ...

def cell_points(
    *,
    weight: _Array,
    mean: _Array,
    root: _Array,
    fixed: _Array,
    added: _Array,
    sd: _Array,
    sets: list[list[int]],
    threads: int,
) -> tuple[list[_Array], _Array, NDArray[np.int64]]: ...

class KeyIndex:
    def __new__(cls) -> KeyIndex: ...
    def add(self, keys: NDArray[np.int64], threads: int) -> NDArray[np.int64]: ...
    def find(self, keys: NDArray[np.int64], threads: int) -> NDArray[np.int64]: ...
    def keys(self) -> NDArray[np.int64]: ...

class TextIndex:
    def __new__(cls) -> TextIndex: ...
    def add(
        self, *, data: NDArray[np.uint8], offsets: NDArray[np.int64], missing: NDArray[np.bool_]
    ) -> NDArray[np.int64]: ...
    def find(
        self, *, data: NDArray[np.uint8], offsets: NDArray[np.int64], missing: NDArray[np.bool_]
    ) -> NDArray[np.int64]: ...
    def texts(self) -> tuple[NDArray[np.uint8], NDArray[np.int64]]: ...
