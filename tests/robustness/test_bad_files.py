"""Saved fits that are not what they say, and places where nothing can be written.

Files are put together by hand, with a right fingerprint: shapes without values, values that
compress a thousandfold, texts that are one text many times, links, filters, and random changes of
arrays and record. Each is refused in one sentence, or everything that a fit can be asked works.
"""

import contextlib
import copy
import json
import os
import signal
import stat
import subprocess
import sys
import tempfile
import warnings
import zlib
from pathlib import Path

import h5py
import numpy as np
import pytest

import partialpool as pp
from partialpool import memory
from partialpool.saved.record import write_fit
from partialpool.saved.stored import fingerprint, pack, texts

FILES = Path(__file__).parents[1] / "api" / "files"
RNG = np.random.default_rng(8)
N = 40
DATA = {
    "y": RNG.normal(size=N),
    "x": RNG.normal(size=N),
    "k": RNG.poisson(2.0, N),
    "f": np.resize(list("abc"), N),
    "g": np.resize(list("pqrs"), N),
    "h": np.resize(np.arange(5), N),
    "w": RNG.uniform(1, 2, N),
    "z": np.resize(["01", "02", "1", "2"], N),  # numbers by their labels
    "m": np.resize(["u", "v"], N),
}


def read():
    """A column of numbers that names things: `01` and `1` are kept beside them."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "data.csv"
        rows = zip(DATA["y"], DATA["x"], DATA["z"], strict=True)
        path.write_text("y,x,z\n" + "\n".join(",".join(map(str, row)) for row in rows))
        return pp.read(path)


FEW = {"draws": 20, "warmup": 40, "chains": 2, "seed": 1}
FITS = {
    "integrated": lambda: pp.fit("y ~ x + f + (x | g)", DATA, **FEW),
    "no pooling": lambda: pp.fit("y ~ x + (x | g)", DATA, pooling="none", **FEW),
    "counts": lambda: pp.fit("k ~ x + (1 | g) + (1 | h)", DATA, family="poisson", **FEW),
    "sigma": lambda: pp.fit("y ~ f + (1 | g)", DATA, sigma="~ x + (1 | h)", **FEW),
    "ordered": lambda: pp.fit("k ~ x + (1 | g)", DATA, family="cumulative", **FEW),
    "complete": lambda: pp.fit("y ~ x", DATA, **FEW),
    "labels": lambda: pp.fit("k ~ x + offset(log(w)) + (x | z)", DATA, family="poisson", **FEW),
    "read": lambda: pp.fit("y ~ x + (1 | z)", read(), **FEW),
    "own priors": lambda: pp.fit(
        "y ~ x + f:m + (1 | g)", DATA, pooling="none", priors={"coef_g": "student_t(3)"}, **FEW
    ),
}


@pytest.fixture(scope="module")
def fits():
    made = {name: make() for name, make in FITS.items()}
    made["integrated"].loo()
    made["counts"].kfold(2)
    return made


CHANGES = 24
UNREAD = r"\(DamagedError\)"  # before anything was read


def refuses(path, match="damaged or not a partialpool fit"):
    with pytest.raises(pp.InputError, match=match) as error:
        pp.load(path)
    assert "\n" not in str(error.value)


def rewritten(arrays, path):
    path.write_bytes(pack(arrays, format=4, version="0.2.0"))
    return path


def asked(fit):
    """Ask all that a fit can be asked, quickly."""
    repr(fit)
    fit._repr_html_()
    fit.summary()
    fit.coefficients()
    _ = fit.draws, fit.findings
    for group in fit.model.groups:
        fit.summary(f"coef_{group.name}")
        fit.group_draws(group.levels.tolist()[:1], factor=group.name)
    if fit.design is not None:
        fit.predict()
        fit.loo()
        fit.check(draws=20, seed=1)
    fit.predict({name: values[:3] for name, values in DATA.items()})
    fit.sensitivity() if fit.design is not None else None


# ---------------------------------------------------------------------------- bombs


def test_shapes_without_values(fits, tmp_path):
    """80 GB in 100 KB, as fill values, in chunks and without, in rows and in draws."""
    for name, shape, chunks in (
        ("b", (2, 10**9, 5), None),
        ("scalar0", (2, 10**10), None),
        ("rows_0", (10**10,), (1000,)),
    ):
        path = rewritten(write_fit(fits["integrated"], rows=True), tmp_path / "fit.nc")
        with h5py.File(path, "a") as file:
            del file[name]
            options = {"chunks": chunks, "compression": "gzip"} if chunks else {}
            file.create_dataset(name, shape, "f8", **options)
        assert path.stat().st_size < 300_000
        refuses(path, UNREAD)


def test_values_that_compress_too_well(fits, tmp_path):
    """Chunks that are there, but smaller than the filter can make them."""
    path = rewritten(write_fit(fits["integrated"], rows=True), tmp_path / "fit.nc")
    with h5py.File(path, "a") as file:
        del file["rows_0"]
        options = {"chunks": (10**6,), "compression": "gzip", "compression_opts": 9}
        zeros = file.create_dataset("rows_0", (10**9,), "f8", **options)
        zeros[: 10**6] = 0.0  # a thousand chunks are declared, and one is there
    refuses(path, UNREAD)


def test_one_text_many_times(fits, tmp_path):
    """Levels that all point to the same long text: a hundred bytes each stand for a megabyte."""
    arrays = write_fit(fits["integrated"], rows=False)
    arrays["group0_levels"] = np.array(["x" * 10**6, "b", "c", "d"], dtype=object)
    path = rewritten(arrays, tmp_path / "fit.nc")
    whole = bytearray(path.read_bytes())
    with h5py.File(path) as file:
        start = file["group0_levels"].id.get_offset()
    for k in range(1, 4):
        whole[start + 16 * k : start + 16 * (k + 1)] = whole[start : start + 16]
    path.write_bytes(whole)
    with h5py.File(path) as file:
        assert all(len(level) == 10**6 for level in file["group0_levels"][()])
    refuses(path, UNREAD)


def test_compressed_texts_are_counted_too(fits, tmp_path):
    arrays = write_fit(fits["integrated"], rows=True)
    assert any(arrays[name].dtype == object for name in arrays if name.startswith("rows_"))
    path = rewritten(arrays, tmp_path / "fit.nc")
    assert pp.load(path).design.n_rows == N
    with h5py.File(path, "a") as file:
        name = next(n for n in file if n.startswith("rows_") and file[n].dtype == object)
        dataset = file[name]
        place = dataset.id.get_chunk_info(0)
        _, content = dataset.id.read_direct_chunk(place.chunk_offset)
        references = bytearray(zlib.decompress(content))
        references[:4] = (2**31).to_bytes(4, "little")  # a length beyond the file
        dataset.id.write_direct_chunk(place.chunk_offset, zlib.compress(bytes(references)))
    refuses(path, UNREAD)


@pytest.mark.parametrize("kind", ["soft", "external", "virtual", "raw", "group", "compound"])
def test_what_is_no_array_of_the_file_itself(kind, fits, tmp_path):
    path = rewritten(write_fit(fits["complete"], rows=False), tmp_path / "fit.nc")
    (tmp_path / "secret").write_bytes(bytes(10**4))
    with h5py.File(tmp_path / "other.nc", "w") as other:
        other["b"] = np.zeros((2, 20, 2))
    with h5py.File(path, "a") as file:
        values = file["b"][()]
        if kind != "group":
            del file["b"]
        if kind == "soft":
            file["b_moved"] = values
            file["b"] = h5py.SoftLink("/b_moved")
        elif kind == "external":
            file["b"] = h5py.ExternalLink(str(tmp_path / "other.nc"), "b")
        elif kind == "virtual":
            layout = h5py.VirtualLayout(values.shape, "f8")
            layout[...] = h5py.VirtualSource(tmp_path / "other.nc", "b", values.shape)
            file.create_virtual_dataset("b", layout)
        elif kind == "raw":
            outside = [(str(tmp_path / "secret"), 0, values.nbytes)]
            file.create_dataset("b", values.shape, "f8", external=outside)
        elif kind == "group":
            file.create_group("more")
        else:
            file["b"] = np.zeros(values.shape, [("a", "f8"), ("b", "f8")])
    refuses(path, UNREAD)


def test_what_does_not_fit_into_memory(fits, tmp_path, monkeypatch):
    fits["complete"].save(tmp_path / "fit.nc")
    monkeypatch.setattr("partialpool.saved.stored.machine_memory", lambda: 1000.0)
    refuses(tmp_path / "fit.nc", r"needs \d+ GB to load, and this machine has 0 GB: load it on")
    monkeypatch.setattr(memory, "machine_memory", lambda: 1000.0)
    with pytest.raises(pp.InputError, match="save on a larger machine"):
        fits["complete"].save(tmp_path / "more.nc")


# ---------------------------------------------------------------------------- random changes


def change_array(arrays, rng):
    """Change the shape, kind or values of an array."""
    name = rng.choice(sorted(set(arrays) - {"meta"}))
    values = arrays[name]
    kind = rng.integers(0, 9)
    if kind == 0:
        del arrays[name]
    elif kind == 1:
        arrays[name] = np.zeros([int(rng.integers(0, 4)) for _ in range(rng.integers(1, 5))])
    elif kind == 2 and values.ndim:
        axis = int(rng.integers(0, values.ndim))
        arrays[name] = np.repeat(values, 2, axis=axis)
    elif kind == 3 and values.ndim:
        arrays[name] = values[: len(values) // 2]
    elif kind == 4 and values.dtype != object:
        arrays[name] = values.astype(rng.choice(["f4", "i8", "u1", "f8"]))
    elif kind == 5:
        arrays[name] = np.array(["text"] * values.size, dtype=object).reshape(values.shape)
    elif kind == 6 and values.size and values.dtype != object:
        changed = values.copy()
        extremes = [-1, 126] if values.dtype.kind in "iu" else [np.nan, np.inf, -1e308, 0.0]
        changed.flat[int(rng.integers(0, values.size))] = rng.choice(extremes)
        arrays[name] = changed
    elif kind == 7:
        arrays[f"extra{rng.integers(0, 9)}"] = np.zeros(3)
    else:
        other = rng.choice(sorted(set(arrays) - {"meta"}))
        arrays[name], arrays[other] = arrays[other], values


def change_record(arrays, rng):
    """Put another value somewhere in the record."""
    record = json.loads(texts(arrays["meta"])[0])
    place, keys = record, []
    while isinstance(place, (dict, list)) and place:
        names = sorted(place) if isinstance(place, dict) else range(len(place))
        key = names[int(rng.integers(len(names)))]
        keys.append((place, key))
        place = place[key]
        if rng.uniform() < 0.3:
            break
    if keys and not any(key == "state" for _, key in keys):
        holder, key = keys[-1]
        junk = [None, -1, 0, 10**12, 1.5, "", "x", [], {}, [0], {"a": 1}, True, "Infinity", 2**70]
        holder[key] = junk[int(rng.integers(len(junk)))]
    arrays["meta"] = np.array(json.dumps(record), dtype=object)


@pytest.mark.parametrize("name", FITS)
@pytest.mark.parametrize("rows", [True, False])
def test_changed_files_are_refused_or_work(name, rows, fits, tmp_path):
    original = write_fit(fits[name], rows=rows)
    rng = np.random.default_rng([len(name), rows])
    loaded = 0
    for k in range(CHANGES):
        arrays = copy.copy(original)
        (change_array if k % 2 else change_record)(arrays, rng)
        with contextlib.suppress(pp.InputError):
            fit = pp.load(rewritten(arrays, tmp_path / "fit.nc"))
            loaded += 1
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # numbers that make no sense may overflow
                asked(fit)
    assert loaded < 0.7 * CHANGES


@pytest.mark.parametrize("name", FITS)
def test_unchanged_files_load_and_work(name, fits, tmp_path):
    for rows in (True, False):
        path = rewritten(write_fit(fits[name], rows=rows), tmp_path / "fit.nc")
        asked(pp.load(path))


def test_files_of_the_published_version():
    """Written by 0.1.0: formats 2 and 3."""
    for path in sorted(FILES.glob("*.nc")):
        assert repr(pp.load(path))


def test_the_fingerprint_does_not_depend_on_the_memory_layout():
    values = np.arange(24.0).reshape(2, 3, 4)
    turned = np.ascontiguousarray(values.transpose(2, 1, 0)).transpose(2, 1, 0)
    assert fingerprint({"a": values}) == fingerprint({"a": turned})
    assert fingerprint({"a": values}) != fingerprint({"a": values[:, ::-1]})


# ---------------------------------------------------------------------------- places


def test_files_that_may_not_be_read(fits, tmp_path, monkeypatch):
    path = tmp_path / "fit.nc"
    fits["complete"].save(path)
    if os.geteuid() != 0:
        path.chmod(0)
        refuses(path, r"cannot be read \(Permission denied\): see whether you may read it")
        path.chmod(0o644)

    def fail(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", fail)
    refuses(path, r"cannot be read \(Permission denied\): see whether you may read it")


@pytest.mark.skipif(sys.platform == "win32", reason="no pipes with names")
def test_what_is_no_ordinary_file(fits, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    refuses(tmp_path / "pipe", "is not an ordinary file")
    refuses("/dev/null", "is not an ordinary file")
    with pytest.raises(pp.InputError, match="is not an ordinary file"):
        fits["complete"].save("/dev/full")


@pytest.mark.skipif(sys.platform == "win32", reason="permissions of another kind")
def test_permissions_stay(fits, tmp_path):
    path = tmp_path / "fit.nc"
    before = os.umask(0o027)
    try:
        fits["complete"].save(path)
        assert stat.S_IMODE(path.stat().st_mode) == 0o640
    finally:
        os.umask(before)
    for mode in (0o600, 0o660, 0o604):
        path.chmod(mode)
        fits["complete"].save(path)
        assert stat.S_IMODE(path.stat().st_mode) == mode
    assert pp.load(path).seed == 1
    if os.geteuid() != 0:
        path.chmod(0o400)
        with pytest.raises(pp.InputError, match="Permission denied"):
            fits["complete"].save(path)


def test_links_stay_and_their_targets_are_written(fits, tmp_path):
    (tmp_path / "there").mkdir()
    link = tmp_path / "link.nc"
    link.symlink_to(tmp_path / "there" / "fit.nc")
    fits["complete"].save(link)
    assert link.is_symlink()
    assert pp.load(tmp_path / "there" / "fit.nc").seed == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link.nc", "there"]
    for name, other in (("a", "b"), ("b", "a")):
        (tmp_path / name).symlink_to(tmp_path / other)
    with pytest.raises(pp.InputError, match=r"cannot be written \(Too many levels of symbolic"):
        fits["complete"].save(tmp_path / "a")
    assert (tmp_path / "a").is_symlink()


SCRIPT = """
import os, resource, signal, sys, time
import partialpool as pp
from partialpool.saved import file as io
fit = pp.load(sys.argv[1])
{body}
"""


def run(body, *arguments):
    code = SCRIPT.format(body=body)
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


@pytest.mark.skipif(sys.platform != "linux", reason="limits of processes")
@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
def test_a_full_disk(share, fits, tmp_path):
    """A limit of the size of files, which the system enforces as a full disk would be."""
    source, path = tmp_path / "fit.nc", tmp_path / "more.nc"
    fits["counts"].save(source)
    path.write_bytes(b"older")
    body = f"""
limit = int({share} * os.path.getsize(sys.argv[1]))
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
try:
    fit.save(sys.argv[2])
except pp.InputError as error:
    print(error)
"""
    done = run(body, source, path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().endswith("cannot be written (File too large): choose another path.")
    assert not done.stderr
    assert path.read_bytes() == b"older"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["fit.nc", "more.nc"]


@pytest.mark.skipif(sys.platform == "win32", reason="signals of another kind")
@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGINT"])
def test_signals_leave_nothing_behind(name, fits, tmp_path):
    source, path = tmp_path / "fit.nc", tmp_path / "more.nc"
    fits["complete"].save(source)
    path.write_bytes(b"older")
    number = getattr(signal, name)
    body = f"""
replace = os.replace
def killed(*arguments):
    os.kill(os.getpid(), {int(number)})
    time.sleep(5)
    replace(*arguments)
os.replace = killed
fit.save(sys.argv[2])
"""
    done = run(body, source, path)
    assert done.returncode == -number
    assert path.read_bytes() == b"older"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["fit.nc", "more.nc"]


def test_handlers_of_others_stay(fits, tmp_path):
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    fits["complete"].save(tmp_path / "fit.nc")
    assert {number: signal.getsignal(number) for number in before} == before
