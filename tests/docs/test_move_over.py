"""Move-over tables: every line of ours runs, and gives the numbers of theirs that it should.

A page in docs/move-over/ has blocks that set up (```python ours, ```r or ```py theirs) and tables
whose columns are: the job, their line, ours, and how the answers compare. Their numbers were
computed once, on the same data, by the scripts in tests/reference/move_over, which read the same
pages; a line of theirs that they did not run is an error here.
"""

import ast
import json
import re
import warnings

import numpy as np
import pandas as pd
import pytest

import partialpool as pp
from documents import ROOT, beside_data, blocks, cells, run

FOLDER = ROOT / "docs" / "move-over"
PAGES = sorted(path.stem for path in FOLDER.glob("*.md") if path.stem != "index")
NUMBERS = ROOT / "tests" / "reference" / "move_over"
WORDS = ("equal", "near", "same model", "runs", "")
CODE = re.compile(r"`[^`]+`")

EQUAL = 1e-3  # lme4 stops some 1e-4 from the maximum; profiles are interpolated
NEAR = 0.5  # posterior sds, between a posterior and an estimate, or under other priors …
NEAR_SCALES = 1.0  # … and of sds and correlations, which likelihoods understate and priors move
SAME = 0.15  # posterior sds; of two sets of draws each worth 1000: 3.4 Monte Carlo errors


def rows(page):
    """Cells of the rows of tables: line number, job, theirs, ours, same."""
    text = (FOLDER / f"{page}.md").read_text(encoding="utf-8")
    for k, line in enumerate(text.split("\n"), 1):
        if line.startswith("|"):
            found = cells(line)
            if len(found) == 4 and found[0] != "job" and not set(found[0]) <= set("-: "):
                yield k, *found


def code(cell):
    """The line of code that a cell is, or None."""
    return cell[1:-1] if CODE.fullmatch(cell) else None


def answer(found):
    """Numbers of an answer of ours, and their posterior sds where it has them."""
    if isinstance(found, pp.Estimate):
        values = dict(zip(found.labels, found.numbers["estimate"], strict=True))
        return values, dict.fromkeys(values, np.nan)
    if isinstance(found, pp.Fit):
        table = found.summary()
        return table["mean"].to_dict(), table["sd"].to_dict()
    if hasattr(found, "elpd"):  # scores differ by Monte Carlo errors of some tenths
        return np.array([found.elpd]), np.array([1.0])
    if isinstance(found, pd.DataFrame):
        if {"level", "term", "mean"} <= set(found):  # theirs have a column a term
            wide = [found[found["term"] == term] for term in dict.fromkeys(found["term"])]
            found = pd.concat(wide)
        if "mean" in found:
            return found["mean"].to_numpy(), found["sd"].to_numpy()
        values = found.select_dtypes("number").to_numpy().T.ravel()
        return values, np.full(len(values), np.nan)
    if {"chain", "draw"} <= set(getattr(found, "dims", ())):
        over = ("chain", "draw")
        return np.ravel(found.mean(over)), np.ravel(found.std(over))
    values = np.ravel(np.asarray(found, dtype=float))
    return values, np.full(len(values), np.nan)


def plain(name):
    """A name of a parameter by which both sides call it."""
    kind, _, rest = name.partition("_")
    group, bracket, term = rest.partition("[")
    return f"{kind}_{':'.join(sorted(group.split(':')))}{bracket}{term}" if rest else name


def aligned(theirs, values, sds):
    """Bring named numbers of both sides into one order: coefficients as they stand, others by name.

    With the values of both and our sds, whether a number is one of the others: a scale.
    """
    if not isinstance(theirs, dict):
        assert not isinstance(values, dict), "theirs has no names"
        return np.array(theirs, dtype=float), values, sds, np.zeros(len(values), dtype=bool)
    b = [name for name in values if name.startswith(("b[", "b_"))]
    their_b = [name for name in theirs if re.match(r"b\d|b_", name)]
    rest = sorted((name for name in values if name not in b), key=plain)
    their_rest = sorted((name for name in theirs if name not in their_b), key=plain)
    assert len(b) == len(their_b)
    assert [plain(x) for x in rest] == [plain(x) for x in their_rest]
    ours = [*b, *rest]
    return (
        np.array([theirs[name] for name in (*their_b, *their_rest)], dtype=float),
        np.array([values[name] for name in ours]),
        np.array([sds[name] for name in ours]),
        np.array([name not in b for name in ours]),
    )


def differences(same, theirs, found):
    """Where two answers differ by more than their word allows."""
    values, sds = answer(found)
    theirs, values, sds, scales = aligned(theirs, values, sds)
    if len(theirs) != len(values):
        return [f"{len(theirs)} numbers of theirs, {len(values)} of ours"]
    if same == "equal":
        allowed = EQUAL * np.maximum(np.abs(theirs), 0.01)
    else:
        assert np.isfinite(sds).all(), "no posterior sds to compare by"
        near = np.where(scales, NEAR_SCALES, NEAR)
        allowed = (near if same == "near" else SAME) * sds
    far = ~(np.abs(values - theirs) <= allowed)
    return [
        f"{a:.6g}, ours {b:.6g} ± {s:.2g}"
        for a, b, s in zip(theirs[far], values[far], sds[far], strict=True)
    ]


@pytest.fixture(scope="module", params=PAGES)
def page(request, tmp_path_factory):
    """A page's name, and the namespace in which its lines run."""
    document = f"docs/move-over/{request.param}.md"
    namespace = {"__name__": "document"}
    with beside_data(tmp_path_factory.mktemp(request.param)), warnings.catch_warnings():
        for block in blocks(document):
            if block.language == "python":
                printed = run(document, block, namespace)
                assert not printed or block.shown, f"{document}:{block.line} prints {printed}"
        yield request.param, namespace


def test_lines(page):
    name, namespace = page
    path = NUMBERS / f"{name}.json"
    theirs = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    wrong, compared = [], 0
    for line, job, their, our, same in rows(name):
        where = f"docs/move-over/{name}.md:{line} ({job})"
        their, our = code(their), code(our)
        assert same in WORDS, f"{where}: `{same}` says nothing"
        assert bool(our) == bool(same), f"{where}: a line that runs, and a word, go together"
        if our is None:
            continue
        found = eval(compile(ast.parse(our, mode="eval"), where, "eval"), namespace)
        if their is not None and their not in theirs:
            wrong.append(f"{where}: `{their}` was not run; run the script again")
        elif same not in ("runs", ""):
            assert their is not None, f"{where}: nothing to compare with"
            compared += 1
            wrong += [f"{where}: {x}" for x in differences(same, theirs[their], found)]
    assert not wrong, "\n".join(wrong)
    assert compared


@pytest.mark.parametrize(
    ("same", "theirs", "ours", "as_it_should"),
    [
        ("equal", [1.0, 2.0], [1.0005, 2.0], True),
        ("equal", [1.0, 2.0], [1.002, 2.0], False),
        ("equal", [1.0, 2.0], [1.0], False),
        ("near", [1.0], pd.DataFrame({"mean": [1.04], "sd": [0.1]}), True),
        ("near", [1.0], pd.DataFrame({"mean": [1.06], "sd": [0.1]}), False),
        ("same model", [1.0], pd.DataFrame({"mean": [1.02], "sd": [0.1]}), False),
        ("equal", [float("nan")], [1.0], False),
    ],
)
def test_what_counts_as_the_same(same, theirs, ours, as_it_should):
    assert (not differences(same, theirs, ours)) == as_it_should
