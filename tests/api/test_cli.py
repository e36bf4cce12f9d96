"""The command line: numbers, files, streams, and exit codes."""

import csv
import inspect
import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from msgspec.structs import asdict

import partialpool as pp
from partialpool import cli
from partialpool.finding import Finding

RADON = str(Path(pp.datasets.__file__).parent / "radon_mn.csv")
SCHOOLS = str(Path(pp.datasets.__file__).parent / "eight_schools.csv")
VARYING = "log_radon ~ floor + (floor | county)"
SIMPLE = "log_radon ~ floor + (1 | county)"
PROGRAM = [sys.executable, "-m", "partialpool"]


def run(capsys, *arguments):
    """Return exit code, stdout and stderr of the command line, run in this process."""
    code = cli.main([str(argument) for argument in arguments])
    return code, *capsys.readouterr()


def fit_json(capsys, *arguments):
    code, out, _ = run(capsys, "fit", *arguments, "--json")
    assert code == 0
    return json.loads(out, parse_constant=pytest.fail)


def rows(record):
    return {row["parameter"]: row for row in record["parameters"]}


# --- Numbers ------------------------------------------------------------------------------------

# lme4's REML estimates. Coefficients: the prior's pull and the averaging over sds are small beside
# the posterior sd. Scales: REML is a mode, the posterior mean of a skewed scale lies above it.
REML = {
    SIMPLE: {
        "b[Intercept]": (1.492, 0.2),
        "b[floor]": (-0.663, 0.2),
        "sd_county[Intercept]": (0.315, 0.5),
        "sigma": (0.726, 0.2),
    },
    VARYING: {
        "sd_county[Intercept]": (0.337, 0.5),
        "sd_county[floor]": (0.328, 1.0),
        "cor_county[Intercept,floor]": (-0.37, 1.0),
        "sigma": (0.717, 0.5),
    },
}


@pytest.mark.parametrize("formula", REML)
def test_radon_lies_near_reml(capsys, formula):
    found = rows(fit_json(capsys, RADON, formula, "--seed", 1))
    for name, (reml, sds) in REML[formula].items():
        row = found[name]
        assert abs(row["mean"] - reml) < sds * row["sd"] + 4 * row["mcse"], name
        assert row["lower"] < row["mean"] < row["upper"]
        assert row["r_hat"] <= 1.01


def test_same_numbers_as_python(capsys):
    priors = {"sd_county": pp.Uniform(0, 10), "sigma": pp.Exponential(2)}
    options = {"chains": 2, "draws": 300, "warmup": 200, "seed": 7, "interval": 0.9}
    fit = pp.fit(SIMPLE, pp.datasets.radon(), priors=priors, **options)
    arguments = [text for name, x in options.items() for text in (f"--{name}", x)]
    record = fit_json(
        capsys, RADON, SIMPLE, *arguments,
        "--prior", "sd_county=uniform(0,10)", "--prior", "sigma = exponential(2)",
    )  # fmt: skip
    expected = fit.summary().drop(columns="prior")
    assert list(rows(record)) == list(expected.index)
    for name, row in rows(record).items():
        assert [row[column] for column in expected] == expected.loc[name].tolist()
    assert record["priors"] == {name: str(prior) for name, prior in fit.priors.items()}
    assert (record["seed"], record["formula"]) == (7, SIMPLE)
    assert record["method"] == "marginal"
    assert record["versions"]["partialpool"] == pp.__version__
    assert record["findings"] == [asdict(finding) for finding in fit.findings]


def test_known_errors(capsys):
    priors = ["--prior", "b=normal(0, 5)", "--prior", "sd_school=half_cauchy(5)"]
    formula = "effect ~ 1 + (1 | school)"
    found = rows(fit_json(capsys, SCHOOLS, formula, "--se", "se", *priors, "--seed", 3))
    assert "sigma" not in found
    for name, mean in (("b[Intercept]", 4.397), ("sd_school[Intercept]", 3.598)):  # quadrature
        assert abs(found[name]["mean"] - mean) < 4 * found[name]["mcse"]


def test_numbers_that_json_lacks_are_null(capsys):
    record = fit_json(
        capsys, RADON, SIMPLE, "--chains", 1, "--draws", 2, "--warmup", 300, "--seed", 1
    )
    assert rows(record)["sigma"]["r_hat"] is None


def test_every_option_of_fit_with_its_default():
    ours = inspect.signature(cli.fit_command).parameters
    theirs = inspect.signature(pp.fit).parameters
    for name, parameter in theirs.items():
        if name != "priors":
            assert ours[name].default == parameter.default, name


def test_pooling_by_factor(capsys):
    options = ["--draws", 50, "--warmup", 50, "--seed", 1]
    one = fit_json(capsys, RADON, SIMPLE, "--pooling", "county=complete", *options)
    other = fit_json(capsys, RADON, SIMPLE, "--pooling", "complete", *options)
    assert one["pooling"] == "complete"
    assert one["parameters"] == other["parameters"]


# --- Streams and exit codes ---------------------------------------------------------------------


def test_tables_and_findings_part_ways(capsys):
    code, out, err = run(capsys, "fit", RADON, VARYING, "--seed", 1)
    assert code == 0
    assert out.startswith(VARYING)
    assert "seed 1" in out
    assert f"partialpool {pp.__version__}" in out
    assert "sd_county[floor]" in out
    assert "Findings" not in out
    assert err.strip().startswith("Findings: none")
    fit = pp.fit(VARYING, RADON, seed=1)
    assert out.split("\n\n")[1] == str(fit).split("\n\n")[1]


def test_fit_that_should_not_be_used(capsys):
    code, out, err = run(capsys, "fit", RADON, VARYING, "--draws", 5, "--warmup", 1, "--seed", 1)
    assert code == 1
    assert "sigma" in out
    assert "error [r-hat]" in err
    assert "error [r-hat]" not in out


def test_interrupted_fit_is_shown(capsys, monkeypatch):
    fit = pp.fit(SIMPLE, RADON, seed=1)
    fit.findings.append(Finding("interrupted", "warning", "It was interrupted."))
    monkeypatch.setattr(pp, "fit", lambda *_, **__: fit)
    code, out, err = run(capsys, "fit", RADON, SIMPLE)
    assert code == 130
    assert "sigma" in out
    assert "warning [interrupted]" in err


def test_interrupted_before_any_draw(capsys, monkeypatch):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(pp, "fit", stop)
    assert run(capsys, "fit", RADON, SIMPLE) == (130, "", "interrupted\n")


def test_no_chain_could_be_sampled(capsys, monkeypatch):
    def fail(*_, **__):
        raise pp.EngineError("no chain could be sampled")

    monkeypatch.setattr(pp, "fit", fail)
    assert run(capsys, "fit", RADON, SIMPLE) == (1, "", "error: no chain could be sampled\n")


def test_version_and_help(capsys):
    assert run(capsys, "--version") == (0, f"partialpool {pp.__version__}\n", "")
    assert "fit" in run(capsys)[1]
    code, out, _ = run(capsys, "fit", "--help")
    assert code == 0
    assert all(option in out for option in ("--prior", "--coefficients", "--no-progress"))


CTRL_C = """
import os, signal, sys
from partialpool import cli
from partialpool.progress import Progress

def update(self, iterations, divergences, warmups):
    if sum(iterations) > 10_000 and not self.__dict__.setdefault("sent", False):
        self.sent = True
        os.kill(os.getpid(), signal.SIGINT)

Progress.update = update
sys.exit(cli.main(sys.argv[1:]))
"""


@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_ctrl_c_keeps_what_was_drawn(tmp_path):
    target = tmp_path / "fit.nc"
    done = subprocess.run(
        [sys.executable, "-c", CTRL_C, "fit", RADON, VARYING, "--draws=1000000", "--out", target],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 130
    assert "b[floor]" in done.stdout
    assert "[interrupted]" in done.stderr
    assert "Traceback" not in done.stderr
    run = pp.load(target).run
    assert run.interrupted
    assert 0 < run.draws < 1000000


INTERRUPTED_IMPORT = """
import os, signal, time
os.kill(os.getpid(), signal.SIGINT)
time.sleep(60)
"""


@pytest.mark.skipif(os.name == "nt", reason="signals")
@pytest.mark.parametrize("module", ["numpy", "typer"])
def test_ctrl_c_during_imports(tmp_path, module):
    """Before and after the package's own imports, however the command line was started."""
    (tmp_path / f"{module}.py").write_text(INTERRUPTED_IMPORT)
    script = tmp_path / "partialpool"
    script.write_text("import sys\nfrom partialpool.cli import main\nsys.exit(main())\n")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    options = {"capture_output": True, "text": True, "timeout": 50, "env": environment}
    for command in ([*PROGRAM, "--version"], [sys.executable, str(script), "--version"]):
        done = subprocess.run(command, check=False, **options)
        assert (done.returncode, done.stdout, done.stderr) == (130, "", "")
    # Other programs that import the package are not told how to end.
    other = [sys.executable, "-c", "import partialpool.cli"]
    assert "KeyboardInterrupt" in subprocess.run(other, check=False, **options).stderr


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no device that is full")
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize(
    "arguments", [["--help"], ["fit", "--help"], ["--version"], [], ["data"]], ids=" ".join
)
def test_a_full_disk_behind_stdout(arguments, unbuffered):
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [*PROGRAM, *arguments],
            env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr == "error: the output cannot be written (No space left on device).\n"


def closed_stream():
    stream = open(os.devnull, "w")  # noqa: SIM115
    stream.close()
    return stream


@pytest.mark.parametrize("make", [lambda: None, closed_stream], ids=["none", "closed"])
def test_without_streams(monkeypatch, tmp_path, capsys, make):
    """As services start programs: nothing goes where it does not belong, and files are written."""
    quick = ["fit", RADON, SIMPLE, "--draws", "20", "--warmup", "40", "--seed", "1"]
    progress = [*quick, "--progress"]  # findings, and a bar that was asked for
    for name, other in (("stdout", "err"), ("stderr", "out")):
        with monkeypatch.context() as patch:
            patch.setattr(sys, name, make())
            code = cli.main([*progress, "--out", str(tmp_path / f"{name}.nc")])
            bad = cli.main(["fit", "none.csv", "y ~ x"])
            assert cli.main(["--help"]) == 0
            assert getattr(sys, name) is None or getattr(sys, name).closed
        assert code in (0, 1)
        assert bad == 2
        assert pp.load(tmp_path / f"{name}.nc").seed == 1
        said = capsys.readouterr()
        assert ("none.csv" in said.err) == (other == "err")
        assert ("b[floor]" in said.out) == (other == "out")
        assert "none.csv" not in said.out


@pytest.mark.skipif(os.name == "nt", reason="file descriptors")
@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-", ">&- 2>&- <&-"])
def test_closed_descriptors(tmp_path, closed):
    target = tmp_path / "fit.nc"
    command = [*PROGRAM, "fit", RADON, SIMPLE, "--draws=20", "--warmup=40", f"--out={target}"]
    script = " ".join(f"'{part}'" for part in command)
    done = subprocess.run(
        ["sh", "-c", f"{script} {closed}"], capture_output=True, text=True, check=False
    )
    assert done.returncode in (0, 1)  # draws are few
    assert "Traceback" not in done.stderr
    assert ("b[floor]" in done.stdout) == (closed == "2>&-")
    assert pp.load(target).run.draws == 20


def test_findings_with_a_closed_stderr():
    """Python's own warnings would fail there."""
    script = (
        "import sys, partialpool as pp; sys.stderr.close(); "
        f"fit = pp.fit({SIMPLE!r}, {RADON!r}, draws=4, warmup=20, progress=True); "
        "print([finding.level for finding in fit.findings])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0
    assert "warning" in done.stdout or "error" in done.stdout


@pytest.mark.skipif(os.name == "nt", reason="pipes")
@pytest.mark.parametrize("stderr", [subprocess.PIPE, subprocess.STDOUT])
def test_reader_that_leaves_is_no_error(stderr):
    with subprocess.Popen(
        [*PROGRAM, "fit", RADON, SIMPLE], stdout=subprocess.PIPE, stderr=stderr
    ) as process:
        assert process.stdout is not None
        process.stdout.close()
        err = process.stderr.read() if process.stderr else b""
    assert process.returncode == 0
    assert b"Error" not in err


def test_a_terminal_without_unicode(tmp_path):
    done = subprocess.run(
        [*PROGRAM, "fit", RADON, SIMPLE],
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0
    assert b"b[floor]" in done.stdout


# --- Files --------------------------------------------------------------------------------------


def test_saved_fit_says_the_same(capsys, tmp_path):
    target = tmp_path / "fit.nc"
    code, out, _ = run(capsys, "fit", RADON, VARYING, "--out", target, "--seed", 2)
    assert code == 0
    loaded = pp.load(target)
    assert str(loaded).startswith(out.rstrip())
    assert loaded.summary().equals(pp.fit(VARYING, RADON, seed=2).summary())


def test_coefficients_file(capsys, tmp_path):
    target = tmp_path / "coefficients.csv"
    code, _, _ = run(capsys, "fit", RADON, VARYING, "--coefficients", target, "--seed", 2)
    assert code == 0
    expected = pp.fit(VARYING, RADON, seed=2).coefficients()
    with target.open(encoding="utf-8", newline="") as file:
        found = list(csv.DictReader(file))
    assert len(found) == 85 * 2
    assert list(found[0]) == list(expected.columns)
    for row, (_, other) in zip(found, expected.iterrows(), strict=True):
        assert [row["factor"], row["level"], row["term"], int(row["n"])] == [
            other["factor"], str(other["level"]), other["term"], other["n"]
        ]  # fmt: skip
        for name in ("mean", "sd", "lower", "upper"):
            assert float(row[name]) == other[name]
    assert [path.name for path in tmp_path.iterdir()] == ["coefficients.csv"]


def test_coefficients_without_groups_are_a_header(capsys, tmp_path):
    target = tmp_path / "c.csv"
    assert run(capsys, "fit", RADON, "log_radon ~ floor", "--coefficients", target)[0] == 0
    assert target.read_text() == "factor,level,term,n,mean,sd,lower,upper\n"


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "data.csv"
    path.write_text("y,x,id\n1.0,2,a\n2.5,3,b\n1.5,1,a\n0.5,2,b\n")
    return path


UNWRITABLE = {
    "no folder": ("--out", "nowhere/fit.nc", "no folder"),
    "no folder for coefficients": ("--coefficients", "nowhere/c.csv", "no folder"),
    "a folder": ("--out", ".", "not a file"),
    "the data": ("--coefficients", "data.csv", "overwrite the data"),
}


@pytest.mark.parametrize("case", UNWRITABLE)
def test_targets_are_checked_before_sampling(capsys, monkeypatch, table, case):
    option, target, message = UNWRITABLE[case]
    monkeypatch.chdir(table.parent)
    monkeypatch.setattr(pp, "fit", lambda *_, **__: pytest.fail("it was sampled"))
    expect_error(run(capsys, "fit", table, "y ~ x + (1 | id)", option, target), message)


def test_one_target_for_two_files(capsys, monkeypatch, table):
    monkeypatch.chdir(table.parent)
    result = run(capsys, "fit", table, "y ~ x", "--out", "a", "--coefficients", "./a")
    expect_error(result, "are both")


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write anywhere")
def test_folder_without_permission(capsys, table):
    table.parent.chmod(0o500)
    try:
        result = run(capsys, "fit", table, "y ~ x", "--out", table.parent / "fit.nc")
    finally:
        table.parent.chmod(0o700)
    expect_error(result, "cannot be written")


def test_a_failure_to_save_does_not_cost_the_table(capsys, monkeypatch, tmp_path):
    def full(*_):
        raise pp.InputError("`fit.nc` cannot be written (No space left on device)")

    monkeypatch.setattr(pp.Fit, "save", full)
    monkeypatch.setattr("partialpool.cli.fit.write_coefficients", full)
    code, out, err = run(capsys, "fit", RADON, SIMPLE, "--coefficients", tmp_path / "c.csv")
    assert code == 2
    assert "b[floor]" in out
    assert err.endswith("error: `fit.nc` cannot be written (No space left on device).\n")


# --- Bad input ----------------------------------------------------------------------------------


def expect_error(result, *messages):
    """Expect exit code 2 and exactly one line, on stderr, that holds the messages."""
    code, out, err = result
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert "Traceback" not in err
    for message in messages:
        assert message in err


MODEL = "y ~ x + (1 | id)"
BAD_DATA = {
    "missing column": ("y,x,id\n1,2,a\n2,1,b\n", "y ~ xx", "`xx`"),
    "nearly right": ("y,price,id\n1,2,a\n2,1,b\n", "y ~ prise", "did you mean `price`?"),
    "empty file": ("", MODEL, "empty"),
    "no rows": ("y,x,id\n", MODEL, "no rows"),
    "text as response": ("y,x,id\na,2,a\nb,1,b\nc,3,a\n", MODEL, "`y`"),
    "constant response": ("y,x,id\n1,2,a\n1,1,b\n1,5,a\n", MODEL, "`y`"),
    "infinity": ("y,x,id\n1,inf,a\n2,1,b\n3,1,a\n", MODEL, "`x`"),
    "all missing": ("y,x,id\n1,NA,a\n2,NA,b\n", MODEL, ""),
    "collinear": ("y,x,z,id\n1,1,2,a\n2,2,4,b\n4,3,6,a\n4,4,8,b\n", "y ~ x + z", "`z`"),
    "duplicate names": ("y,x,x\n1,2,3\n2,1,4\n", "y ~ x", "`x` occurs more"),
    "stray text": (
        "y,x\n" + "".join(f"{i * i % 7},{i if i != 7 else 'x'}\n" for i in range(40)),
        "y ~ x",
        "text among its numbers (`x`) (row 8, counted from 1): correct it",
    ),
    "ragged": ("y,x,id\n1,2,a\n1,2\n3,4,b\n", MODEL, "fields"),
}


@pytest.mark.parametrize("case", BAD_DATA)
def test_bad_data(capsys, tmp_path, case):
    text, formula, message = BAD_DATA[case]
    path = tmp_path / "bad.csv"
    path.write_text(text)
    expect_error(run(capsys, "fit", path, formula), message)


BAD_FILES = {
    "no file": ("none.csv", None, "no file"),
    "extension": ("data.xyz", b"y,x\n1,2\n", "extension"),
    "bytes": ("data.csv", b"\xff\xfe\x00\x01", ""),
    "truncated parquet": ("data.parquet", b"PAR1\x00\x00", "data.parquet"),
    "truncated feather": ("data.feather", b"ARROW1\x00", "data.feather"),
    "not a database": ("data.duckdb::t", b"nonsense", "data.duckdb"),
    "no table": ("data.duckdb", b"nonsense", "::table"),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_bad_files(capsys, tmp_path, case):
    name, content, message = BAD_FILES[case]
    if content is not None:
        (tmp_path / name.split("::")[0]).write_bytes(content)
    expect_error(run(capsys, "fit", tmp_path / name, MODEL), message)


BAD_FORMULAS = {
    "trailing text": ("y ~ x z", "`z`"),
    "open bracket": ("y ~ x + (1 | id", "bracket"),
    "closed bracket": ("y ~ x) + (1 | id)", ""),
    "code": ("y ~ __import__('os').getcwd()", "__import__"),
    "attribute": ("y ~ x.real", ""),
    "starts with a minus": ("- ~ x", "not complete"),
    "two lines": ("y ~ x\n+", ""),
    "empty": ("", ""),
}


@pytest.mark.parametrize("case", BAD_FORMULAS)
def test_bad_formulas(capsys, table, case):
    formula, message = BAD_FORMULAS[case]
    expect_error(run(capsys, "fit", table, formula), message)


BAD_OPTIONS = {
    "no draws": (["--draws", "0"], "`--draws` is 0"),
    "no chains": (["--chains", "0"], "`--chains` is 0"),
    "no number": (["--draws", "many"], "the value of `--draws` is no whole number"),
    "negative seed": (["--seed", "-1"], "`--seed` is -1"),
    "interval": (["--interval", "95"], "`--interval` is 95"),
    "percent": (["--interval", "95%"], "the value of `--interval` is no number"),
    "no value": (["--draws"], "'--draws'"),
    "threads": (["--threads", "0"], "`--threads` is 0"),
    "family": (["--family", "gausian"], "did you mean `gaussian`?"),
    "pooling": (["--pooling", "partly"], "pooling"),
    "pooling of a factor": (["--pooling", "id=partly"], "did you mean `partial`?"),
    "pooling of no factor": (["--pooling", "item=none"], "`item`", "`id`"),
    "pooling without value": (["--pooling", "id="], "factor=pooling"),
    "pooling in part": (["--pooling", "id=none,partial"], "`--pooling partial`", "factor=pooling"),
    "two poolings": (["--pooling", "id=none,id=partial"], "`--pooling` is given twice for `id`"),
    "method": (["--method", "gibbs"], "method"),
    "errors": (["--se", "xx"], "`xx`"),
    "option": (["--chian", "4"], "--chian"),
    "too much": (["z"], "z"),
    "prior without value": (["--prior", "sigma"], "name=prior"),
    "empty prior": (["--prior", "sigma="], "name=prior"),
    "prior without name": (["--prior", "=normal(0, 1)"], "name=prior"),
    "prior name": (["--prior", "sigma=norml(0, 1)"], "`norml`"),
    "prior numbers": (["--prior", "sigma=normal(0, 1, 2)"], "Normal takes"),
    "prior scale": (["--prior", "sigma=normal(0, -1)"], "above 0"),
    "prior key": (["--prior", "sgma=normal(0, 1)"], "did you mean `sigma`?"),
    "no such parameter": (["--prior", "sd_g=normal(0, 1)"], "`sd_g`", "`sd_id[Intercept]`"),
    "two priors": (["--prior", "b=flat", "--prior", "b = flat"], "twice"),
}


@pytest.mark.parametrize("case", BAD_OPTIONS)
def test_bad_options(capsys, table, case):
    arguments, *messages = BAD_OPTIONS[case]
    expect_error(run(capsys, "fit", table, MODEL, *arguments), *messages)


@pytest.mark.parametrize(
    "arguments", [["fit"], ["fit", RADON], ["fti"], ["--nope"], ["fit", RADON, "--seed"]], ids=str
)
def test_bad_usage(capsys, arguments):
    expect_error(run(capsys, *arguments), "--help")


def test_bad_input_in_a_process():
    done = subprocess.run([*PROGRAM, "fit", "none.csv", "y ~ x"], capture_output=True, text=True)
    expect_error((done.returncode, done.stdout, done.stderr), "no file `none.csv`")


def test_names_are_not_markup_and_brackets_not_separators(capsys, tmp_path):
    path = tmp_path / "odd.csv"
    path.write_text('y,"a=b",g\n1,1,u\n2,3,v\n4,2,u\n3,5,v\n')
    code, out, _ = run(
        capsys, "fit", path, "y ~ `a=b`", "--prior", "b[a=b]=normal(0, 3)", "--seed", 1
    )
    assert code == 0
    assert "b[a=b]" in out
    assert "Normal(0, 3)" in out


# --- data ---------------------------------------------------------------------------------------


def test_data_sets_are_listed(capsys):
    code, out, err = run(capsys, "data")
    assert (code, err) == (0, "")
    head, *rows = out.splitlines()
    assert head.split() == ["files", "description"]
    assert [row.split()[0] for row in rows] == ["radon", "eight_schools", "individuals"]


def test_data_sets_are_written_as_they_are_read(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, _ = run(capsys, "data", "radon")
    assert (code, out) == (0, "radon_mn.csv\n")
    pd.testing.assert_frame_equal(pd.read_csv("radon_mn.csv"), pp.datasets.radon())
    folder = tmp_path / "not" / "yet"
    assert run(capsys, "data", "individuals", "--out", folder)[0] == 0
    data, truth = pp.datasets.individuals()
    pd.testing.assert_frame_equal(pd.read_csv(folder / "individuals.csv"), data)
    pd.testing.assert_frame_equal(pd.read_csv(folder / "individuals_truth.csv"), truth)
    assert run(capsys, "data", "eight-schools")[0] == 0
    assert run(capsys, "data", "radon")[0] == 0  # it is there already


def test_data_sets_overwrite_nothing(capsys, tmp_path):
    (tmp_path / "radon_mn.csv").write_text("mine")
    code, out, err = run(capsys, "data", "radon", "--out", tmp_path)
    assert (code, out) == (2, "")
    assert "there is another" in err
    assert (tmp_path / "radon_mn.csv").read_text() == "mine"
    code, _, err = run(capsys, "data", "radom", "--out", tmp_path)
    assert (code, err) == (2, "error: there is no data set `radom`: did you mean `radon`?\n")


def test_start_of_metropolis(capsys, tmp_path):
    stay = ["--method", "metropolis", "--draws", "4", "--warmup", "0", "--proposal-sd", "1e-9"]
    start = ["--seed", "1", "--start", "sigma=2", "--start", "b[floor]=-3"]
    code, out, _ = run(capsys, "fit", RADON, SIMPLE, *stay, *start, "--json")
    assert code == 1  # a chain that does not move
    record = json.loads(out)
    found = rows(record)
    assert found["sigma"]["mean"] == pytest.approx(2, abs=1e-6)
    assert found["b[floor]"]["mean"] == pytest.approx(-3, abs=1e-6)
    for text, words in (("sigma", "name=number"), ("sigma=two", "ends in no number")):
        code, _, err = run(capsys, "fit", RADON, SIMPLE, *stay, "--start", text)
        assert code == 2
        assert words in err
