"""The benchmark's cases. A new one is a record here, and a model in each peer's ``MODELS``."""

from dataclasses import dataclass, field
from pathlib import Path

DATASETS = Path(__file__).parents[1] / "python" / "partialpool" / "datasets"


@dataclass(frozen=True)
class Expected:
    """The least factor by which we are to be better; None: shown, not judged."""

    fit: float | None = None  #: pp.fit against the fastest peer's fit, compilation included
    ess_rate: float | None = None  #: ESS per second of sampling against nutpie's
    process: float | None = None  #: start to printed summary against the fastest peer's


@dataclass(frozen=True)
class Case:
    name: str
    data: Path
    formula: str
    priors: dict[str, tuple[str, float, float]]  #: parameter → (distribution, its arguments)
    population: tuple[str, ...]  #: variables of the population, as draws name them
    groups: tuple[str, ...]  #: group coefficients
    options: dict[str, str] = field(default_factory=dict)  #: further keywords of pp.fit
    expected: Expected = field(default_factory=Expected)

    def command(self) -> list[str]:
        """Return the arguments of ``partialpool`` that fit this case."""
        words = ["fit", str(self.data), self.formula]
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
            expected=Expected(fit=50, ess_rate=30, process=4),
        ),
    ]
}
