"""The documents say what the program does: their code runs, and prints what they show.

* Blocks of ```python run in order, one namespace for each document, in an empty folder.
* A block of ```text right after one of ```python is what it prints. The data sets of tests/data
  are beside it, in `data`.
* Blocks of ```console: lines that begin with ``$`` are commands, which must succeed; the rest is
  what they print. They run in an empty folder, as a reader would run them.

Words must be the same, numbers near: draws differ in the last digits between processors, and then
altogether. Runs of spaces count as one; times, versions and lengths of warm-ups as nothing.
"""

import re
import shlex
import subprocess
import sys
from collections import Counter

import pytest

from documents import DATA, ROOT, beside_data, blocks, run
from partialpool.families import FAMILIES
from partialpool.model.parameters import prior_words

PAGES = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").glob("**/*.md"))
EXECUTED = [page for page in PAGES if any(b.language == "python" for b in blocks(page))]
# What stands in move-over pages is run, with their tables, in test_move_over.py.
DOCUMENTS = ["README.md", *(page for page in EXECUTED if "move-over" not in page)]
LINKED = ["README.md", *PAGES, "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md"]
MADE = ("gallery/index.md", "changes.md")  # when the site is built

UNSTABLE = re.compile(r"\b\d+(?:\.\d+)? s\b|\b\d+\.\d+\.\d+\b|\bafter \d+(?: to \d+)? of warm-up\b")
NUMBER = re.compile(r"(?<![\w.])[-+−]?\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?")


def commands(text):
    """Each command of a console block, with what it should print."""
    for part in re.split(r"^\$ ", text.replace("\\\n", " "), flags=re.MULTILINE)[1:]:
        command, _, shown = part.partition("\n")
        yield command, shown


def numbers(text):
    return [float(n.replace(",", "").replace("−", "-")) for n in NUMBER.findall(text)]


def differences(shown, printed):
    """What a reader would notice: other words, or numbers that are not near."""
    shown, printed = UNSTABLE.sub("…", shown), UNSTABLE.sub("…", printed)
    lines = [NUMBER.sub("#", text).split() for text in (shown, printed)]
    if lines[0] != lines[1]:
        return [f"other words: {' '.join(lines[1])}"]
    pairs = zip(numbers(shown), numbers(printed), strict=True)
    return [f"{a:g} is now {b:g}" for a, b in pairs if abs(a - b) > _tolerance(a)]


def _tolerance(number):
    # Large numbers are effective sample sizes, which vary most from one set of draws to another.
    return 0.05 + (0.35 if number >= 1000 else 0.15) * abs(number)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("document", DOCUMENTS)
def test_python(document, tmp_path):
    namespace = {"__name__": "document"}
    ran = 0
    with beside_data(tmp_path):
        for block in blocks(document):
            if block.language != "python":
                continue
            printed = run(document, block, namespace)
            ran += 1
            if block.shown is None:
                assert not printed, f"{document}:{block.line} prints what is not shown"
            else:
                found = differences(block.shown, printed)
                assert not found, f"{document}:{block.line}: {found}\n{printed}"
    assert ran


def test_console(folder):
    ran = 0
    for block in blocks("README.md"):
        for command, shown in commands(block.text) if block.language == "console" else ():
            program, *arguments = shlex.split(command)
            assert program == "partialpool"
            done = subprocess.run(
                [sys.executable, "-m", "partialpool", *arguments],
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                encoding="utf-8",
                timeout=120,
            )
            assert done.returncode == 0, done.stdout
            found = differences(shown, done.stdout)
            assert not found, f"README.md:{block.line}: {found}\n{done.stdout}"
            ran += 1
    assert ran


def test_readme_lists_every_family():
    """Names, links and the parameters beside the coefficients, with their default priors."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in readme.splitlines()]
    listed = {row[0].strip("`"): row for row in rows if row and row[0].strip("`") in FAMILIES}
    assert list(listed) == sorted(FAMILIES, key=list(listed).index)
    for name, family in FAMILIES.items():
        _, _, links, parameters = listed[name]
        assert links.split(" (")[0] == ", ".join(family.links)
        expected = []
        for one in family.dispersion:
            if one.default is None:
                expected.append(f"{one.name} ~ Exponential(1/s)")
            else:
                expected.append(f"{one.name} ~ {prior_words(one.name, one.default)}")
        if name == "cumulative":
            expected = ["threshold[k] ~ Normal(0, 2.5)"]
        assert parameters == ", ".join(expected)


@pytest.mark.parametrize("document", ["README.md", *EXECUTED])
def test_every_block_is_checked(document):
    """A block of output that follows nothing would not be compared with anything."""
    languages = [(b.language, b.shown is not None) for b in blocks(document)]
    shown = sum(language == "text" for language, _ in languages)
    assert shown == sum(language == "python" and has for language, has in languages)
    theirs = {"r", "py"} if "move-over" in document else set()
    assert {language for language, _ in languages} <= {"python", "text", "console", "sh"} | theirs


@pytest.mark.parametrize("document", LINKED)
def test_links_lead_somewhere(document):
    source = (ROOT / document).read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)]+)\)", source):
        if not target.startswith(("http", "#")):
            path = ((ROOT / document).parent / target.split("#")[0]).resolve()
            if path.parent == ROOT / "docs" / "data":
                path = DATA / path.name
            if path not in {ROOT / "docs" / made for made in MADE}:
                assert path.exists() or f'savefig("{target}"' in source, f"{document}: {target}"


@pytest.mark.parametrize(
    "path", sorted((ROOT / "python").glob("**/*.py")) + sorted((ROOT / "src").glob("**/*.rs"))
)
def test_architecture_names_every_file(path):
    if path.name != "__init__.py":
        assert f"`{path.name}`" in (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")


def test_architecture_names_files_of_python_once_in_their_folders():
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    rows = text.split("## Python, folder by folder")[1].split("## Rust, file by file")[0]
    named, folder = Counter(), ""
    for cell in re.findall(r"^\| ([^|]+) \|", rows, re.MULTILINE):
        if cell.startswith("**"):
            folder = cell.strip("*")
        else:
            named.update(folder + name for name in re.findall(r"`([^`]+)`", cell))
    package = ROOT / "python" / "partialpool"
    files = {str(path.relative_to(package)) for path in package.glob("**/*.py")}
    beside = {"_core.pyi", "report/page.css", "report/page.js"}
    assert set(named) - files == beside
    assert not {name for name in files - set(named) if not name.endswith("/__init__.py")}
    assert not [name for name, times in named.items() if times > 1]


def test_paths_that_architecture_names_are_there():
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    rooms = (ROOT, ROOT / "python" / "partialpool", ROOT / "src")
    named = re.findall(r"`((?:\w+/)+\w+\.\w+)`", text)
    assert named
    assert not {name for name in named if not any((room / name).exists() for room in rooms)}


@pytest.mark.parametrize(
    ("shown", "printed", "same"),
    [
        ("mean 1.493, 0.36 s", "mean  1.487,  12.1 s\n", True),
        ("version 0.1.0", "version 0.2.13", True),
        ("mean 1.493", "mean 1.9", False),
        ("mean 1.493", "means 1.493", False),
        ("ess 3,607", "ess 2607", True),
        ("ess 3,607", "ess 1607", False),
        ("919 rows", "700 rows", False),
        ("2 of 3", "2 of", False),
        ("-0.65", "0.65", False),
        ("b[1] a2", "b[1] a2", True),
    ],
)
def test_what_counts_as_the_same(shown, printed, same):
    assert (not differences(shown, printed)) == same
