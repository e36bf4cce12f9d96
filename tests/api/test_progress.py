"""Progress: what is seen in a terminal (a real one, of a program of its own), and where nothing."""

import os
import re
import subprocess
import sys
import time

import pytest

import partialpool as pp
from partialpool.progress import Progress, Work
from partialpool.progress import bar as progress

fcntl, pty, termios = (pytest.importorskip(name) for name in ("fcntl", "pty", "termios"))
select = pytest.importorskip("select")

SETUP = """
import warnings
import partialpool as pp
from partialpool.progress import bar as progress
warnings.simplefilter("ignore")
progress.PATIENCE = {patience}
radon = pp.datasets.radon()
"""
FIT = "pp.fit('log_radon ~ floor + (1 | county)', radon, seed=1, method='nuts', {})\n"
COMMAND = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Seen:
    """What a terminal was sent, and how the program and the terminal were left."""

    def __init__(self, code, *, columns=100, patience=0.0, press=None, until=""):
        master, slave = pty.openpty()
        termios.tcsetwinsize(slave, (30, columns))
        modes = termios.tcgetattr(slave)
        process = subprocess.Popen(
            [sys.executable, "-c", SETUP.format(patience=patience) + code],
            stdin=slave,
            stdout=subprocess.PIPE,
            stderr=slave,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
            env=os.environ | {"TERM": "xterm", "COLUMNS": "", "LINES": ""},
        )
        sent, pressed, ends = b"", press is None, time.monotonic() + 60
        while time.monotonic() < ends:
            ready = select.select([master], [], [], 0.05)[0]
            sent += os.read(master, 65536) if ready else b""
            if not pressed and until in sent.decode(errors="ignore"):
                os.write(master, press)
                pressed = True
            if process.poll() is not None and not ready:
                break
        else:
            process.kill()
        self.code = process.wait()
        self.out = process.stdout.read().decode()
        process.stdout.close()
        self.raw = sent.decode()
        self.as_before = termios.tcgetattr(slave) == modes
        os.close(master)
        os.close(slave)

    @property
    def looks(self):
        """The lines as they were seen, one look after the other."""
        plain = COMMAND.sub("", self.raw.replace("\x1b[2K", "\r"))
        return [line.strip() for line in re.split(r"[\r\n]+", plain) if line.strip()]


def test_a_terminal_shows_a_line_a_chain_that_ends_with_all_draws():
    # As many draws as take a second at least: states that pass too fast are not shown.
    seen = Seen(FIT.format("draws=10_000, warmup=10_000, threads=1"))
    assert seen.code == 0
    for chain in range(1, 5):
        own = re.findall(rf"chain {chain} .*?([\d,]+)/20,000 draws", seen.raw)
        done = [int(x.replace(",", "")) for x in own]
        assert done == sorted(done)
        assert done[-1] == 20_000
    assert {look.split()[0] for look in seen.looks} == {"chain"}
    assert "warm-up" in seen.raw
    assert "sampling" in seen.raw
    assert re.search(r"\d:\d\d left", seen.raw)
    assert re.search(r"in \d:\d\d$", seen.looks[-1])
    # Lines that are written anew, and a cursor that is shown again.
    assert seen.raw.rindex("\x1b[?25h") > seen.raw.rindex("\x1b[?25l")
    assert seen.as_before


def test_narrow_terminals_keep_each_chain_on_one_line():
    seen = Seen(FIT.format("draws=10_000, warmup=10_000"), columns=36)
    assert max(map(len, seen.looks)) <= 36
    assert all("/20,000" in look for look in seen.looks[-4:])


def test_short_runs_and_those_that_are_told_to_show_nothing():
    assert Seen(FIT.format("draws=20, warmup=20"), patience=5.0).raw == ""
    assert Seen(FIT.format("draws=20, warmup=20, progress=False")).raw == ""


def test_chains_that_are_known_one_by_one_have_a_line_each():
    seen = Seen(
        "pp.metropolis(lambda at: -at['x'] ** 2, {'x': 0.0}, proposal_sd=1.0, chains=3, "
        "draws=1500, warmup=500, seed=1)"
    )
    last = seen.looks[-3:]
    assert [look.split()[1] for look in last] == ["1", "2", "3"]
    assert all("2,000/2,000 draws" in look for look in last)
    assert "warm-up" in seen.raw


def test_refits_are_counted():
    seen = Seen(
        "fit = pp.fit('log_radon ~ floor', radon[::20], seed=1, draws=50, progress=False)\n"
        "fit.kfold(3)\nprint('silent', file=__import__('sys').stderr)\n"
        "fit.held_out.clear()\nfit.kfold(3, progress=True)"
    )
    assert seen.looks[0] == "silent"
    assert re.findall(r"\d/3 refits", seen.raw)[-1] == "3/3 refits"
    assert seen.looks[-1].startswith("kfold")


def test_ctrl_c_keeps_the_draws_and_leaves_the_terminal_as_it_was():
    seen = Seen(
        FIT.format("draws=1000000, warmup=100").replace("pp.fit", "fit = pp.fit")
        + "print(fit.run.interrupted, fit.run.draws > 3)",
        press=b"\x03",
        until="1,",
    )
    assert seen.out == "True True\n"
    assert seen.raw.rindex("\x1b[?25h") > seen.raw.rindex("\x1b[?25l")
    assert seen.as_before
    (final,) = (look for look in seen.looks if " in 0:" in look)
    assert "4,000,400/4,000,400" not in final


def test_pipes_are_silent_and_told_otherwise_get_the_end_alone():
    for option, expected in (("", 0), (", progress=True", 1)):
        code = SETUP.format(patience=0.0) + FIT.format(f"draws=20_000, warmup=1000{option}")
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60)
        assert done.stdout == b""
        assert len(re.findall(rb"chain \d", done.stderr)) == 4 * expected
        assert b"\x1b" not in done.stderr
        assert done.stderr.count(b"21,000/21,000 draws") == 4 * expected


# --- Words, without a terminal -------------------------------------------------------------------


class Page:
    """What is shown, kept."""

    def __init__(self, most):
        self.most, self.states = most, []

    def show(self, lines):
        self.states.append(list(lines))

    def stop(self, lines):
        self.show(lines)


@pytest.fixture
def shown(monkeypatch):
    """Progress that is shown on a page, with a clock that is set by hand."""

    def make(work, most=8):
        page = Page(most)
        clock = [100.0]
        monkeypatch.setattr(progress, "PATIENCE", 0.0)
        monkeypatch.setattr(progress, "Terminal", lambda: page)
        monkeypatch.setattr(progress.time, "perf_counter", lambda: clock[0])
        return Progress(work, True), page, clock

    return make


def words(page):
    return [line.words for line in page.states[-1]]


def test_time_left_is_that_at_the_pace_so_far(shown):
    bar, page, clock = shown(Work(8000, chains=4, warmup=1000, at_once=4))
    bar.update(0)
    assert words(page) == ["0/8,000 draws, preparing"]
    clock[0] = 103.0  # preparing does not count
    bar.update(400)
    assert words(page) == ["400/8,000 draws, warm-up"]
    clock[0] = 105.0
    bar.update(2000, 1)  # 1,600 in 2 seconds
    assert words(page) == ["2,000/8,000 draws, warm-up, 1 divergence, 0:08 left"]
    clock[0] = 108.0
    bar.update(4400, 12)
    assert words(page) == ["4,400/8,000 draws, 12 divergences, 0:04 left"]
    bar.finish(13)
    with bar:
        pass
    assert words(page) == ["8,000/8,000 draws, 13 divergences, in 0:08"]
    assert page.states[-1][0].name == "sampling 4 chains"


@pytest.mark.parametrize(
    ("done", "phase"), [(1, 1), (1999, 1), (2000, 0), (3999, 0), (4001, 1), (5999, 1), (6001, 0)]
)
def test_phases_are_those_of_the_chains_that_run(shown, done, phase):
    """Four chains of 1,000 + 1,000, two at a time."""
    bar, page, _ = shown(Work(8000, chains=4, warmup=1000, at_once=2))
    bar.update(done)
    assert ("warm-up" in words(page)[0]) == bool(phase)


def test_many_chains_share_a_line(shown):
    bar, page, _ = shown(Work(90, chains=9))
    bar.update([3] * 9)
    assert [line.done for line in page.states[-1]] == [27]
    bar, page, _ = shown(Work(40, chains=4, warmup=5))
    bar.update([10, 7, 3, 0])
    assert words(page) == ["10/10 draws", "7/10 draws, sampling", "3/10 draws, warm-up",
                           "0/10 draws, waiting"]  # fmt: skip


def test_chains_that_say_how_long_they_warm_up(shown):
    """What is not known yet is presumed to be as long as the longest that is."""
    bar, page, clock = shown(Work(8000, chains=4, warmup=1000))
    bar.update([100, 40, 0, 0], [0, 0, 0, 0], [200, 100, 0, 0])
    assert words(page)[:2] == ["100/1,200 draws, warm-up", "40/1,100 draws, warm-up"]
    clock[0] += 10.0
    bar.update([1200, 640, 0, 0], [0, 0, 0, 0], [200, 100, 0, 0])
    assert words(page)[:2] == ["1,200/1,200 draws", "640/1,100 draws, sampling"]
    assert words(page)[2:] == ["0/1,200 draws, waiting", "0/1,200 draws, waiting, 0:17 left"]
    bar.update([1200, 1100, 300, 1300], [0, 0, 0, 0], [200, 100, 400, 300])
    bar.finish([0, 0, 0, 1])
    with bar:
        pass
    assert words(page)[2:] == ["1,400/1,400 draws", "1,300/1,300 draws, 1 divergence, in 0:10"]


def test_kfold_takes_the_option():
    fit = pp.fit("y ~ x", {"y": [1.0, 3, 2, 5], "x": [1, 2, 3, 4]}, draws=20, warmup=20, seed=1)
    with pytest.raises(pp.InputError, match="`progress` is 3"):
        fit.kfold(2, progress=3)
