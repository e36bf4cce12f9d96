"""The benchmark's cases. A new one is a record here, and a function in each peer's ``MODELS``."""

from dataclasses import dataclass, field
from pathlib import Path

from simulated import BERNOULLI, POISSON, Table

DATASETS = Path(__file__).parents[1] / "python" / "partialpool" / "datasets"


@dataclass(frozen=True)
class Expected:
    """The least factor by which we are to be better; None: shown, not judged."""

    fit: float | None = None  #: pp.fit against the fastest peer's fit, compilation included
    ess_rate: float | None = None  #: ESS per second of sampling against each peer's
    process: float | None = None  #: start to printed summary; None: not even measured


@dataclass(frozen=True)
class Case:
    name: str
    data: Path | Table
    formula: str
    priors: dict[str, tuple[str, *tuple[float, ...]]]  #: parameter → (distribution, its arguments)
    population: tuple[str, ...]  #: variables of the population, as draws name them
    groups: tuple[str, ...]  #: group coefficients
    options: dict[str, str] = field(default_factory=dict)  #: further keywords of pp.fit
    expected: Expected = field(default_factory=Expected)
    repeats: int = 5  #: fewer where the peers take minutes

    @property
    def path(self) -> Path:
        return self.data.path if isinstance(self.data, Table) else self.data

    @property
    def truth(self) -> dict[str, float]:
        """Return the population's true values where the data are simulated."""
        return self.data.truth if isinstance(self.data, Table) else {}

    def prepare(self) -> None:
        """Write the data if they are simulated."""
        if isinstance(self.data, Table):
            self.data.write()

    def command(self) -> list[str]:
        """Return the arguments of ``partialpool`` that fit this case."""
        words = ["fit", str(self.path), self.formula]
        for key, (name, *values) in self.priors.items():
            words += ["--prior", f"{key}={name.lower()}({','.join(map(str, values))})"]
        for key, value in self.options.items():
            words += [f"--{key}", value]
        return words


CASES = {
    case.name: case
    for case in [
        Case(
            name="individuals",
            data=DATASETS / "individuals.csv",
            formula="y ~ x + (x || id)",
            priors={
                "b": ("Normal", 0, 3),
                "sd_id": ("Uniform", 0, 10),
                "sigma": ("Uniform", 0, 10),
            },
            population=("b", "sd_id", "sigma"),
            groups=("coef_id",),
            expected=Expected(fit=50, ess_rate=150, process=4),
        ),
        Case(
            name="bernoulli",
            data=BERNOULLI,
            formula="y ~ x + (x | g)",
            options={"family": "bernoulli"},
            priors={"b": ("Normal", 0, 2.5), "sd_g": ("Exponential", 1), "cor_g": ("LKJ", 2)},
            population=("b", "sd_g", "cor_g"),
            groups=("coef_g",),
            # How long a fit takes is shown; the mark is the rate of effective draws.
            expected=Expected(ess_rate=5),
            repeats=1,
        ),
        Case(
            name="poisson",
            data=POISSON,
            formula="y ~ x + (1 | a) + (1 | b)",
            options={"family": "poisson"},
            priors={
                "b": ("Normal", 0, 2.5),
                "sd_a": ("Exponential", 1),
                "sd_b": ("Exponential", 1),
            },
            population=("b", "sd_a", "sd_b"),
            groups=("coef_a", "coef_b"),
            # How long a fit takes is shown; the mark is the rate of effective draws.
            expected=Expected(ess_rate=5),
            repeats=1,
        ),
    ]
}
