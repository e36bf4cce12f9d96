"""The command line: tables on stdout, progress and findings on stderr, errors in one line.

Exit codes: 0 done; 1 the fit should not be used, or cannot be shown; 2 bad input; 130 interrupted.
"""

from __future__ import annotations

import contextlib
import copy
import os
import re
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Annotated

import typer

import partialpool
from partialpool.cli import options
from partialpool.cli.check import check_command
from partialpool.cli.codes import BAD_INPUT, DONE, UNUSABLE
from partialpool.cli.compare import compare_command
from partialpool.cli.data import data_command
from partialpool.cli.demo import demo_command
from partialpool.cli.effects import effects_command
from partialpool.cli.fit import fit_command
from partialpool.cli.hypothesis import hypothesis_command
from partialpool.cli.loo import loo_command
from partialpool.cli.lrt import lrt_command
from partialpool.cli.output import OutputError, discard, own_words, say
from partialpool.cli.predict import predict_command
from partialpool.cli.report import report_command
from partialpool.cli.show import show_command
from partialpool.cli.table import table_command
from partialpool.cli.values import quick
from partialpool.errors import EngineError, FindingWarning, InputError
from partialpool.starting import INTERRUPTED, all_imported

app = typer.Typer(
    name="partialpool",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help spares the import of rich
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code.

    Parameters
    ----------
    arguments : sequence of str, optional
        What follows the program's name; by default that of this process.

    Examples
    --------
    >>> main(["--version"])
    partialpool 0.1.0
    0
    """
    all_imported()
    given = list(sys.argv[1:] if arguments is None else arguments)
    with _streams(), warnings.catch_warnings():
        warnings.simplefilter("ignore", FindingWarning)  # findings are printed
        return _run(given)


@contextlib.contextmanager
def _streams() -> Iterator[None]:
    """Make streams that can be written to, whatever this process was started with."""
    redirects = {"stdout": contextlib.redirect_stdout, "stderr": contextlib.redirect_stderr}
    with contextlib.ExitStack() as stack:
        for name, redirect in redirects.items():
            stream = getattr(sys, name)
            if stream is None or getattr(stream, "closed", False):  # as in services
                nowhere = stack.enter_context(open(os.devnull, "w", encoding="utf-8"))
                stack.enter_context(redirect(nowhere))
                continue
            # A terminal that lacks a character gets its code, not an exception.
            with contextlib.suppress(AttributeError):
                stream.reconfigure(errors="backslashreplace")
        yield


def _run(given: list[str]) -> int:
    try:
        command = quick(asked(given))
        code = command(
            args=options.protected(given), prog_name="partialpool", standalone_mode=False
        )
        return int(code or DONE)
    except typer.TyperException as error:
        return _usage_error(error)
    except InputError as error:
        return _fail(str(error), BAD_INPUT)
    except (EngineError, OutputError) as error:
        return _fail(str(error), UNUSABLE)
    except OSError as error:
        if error.filename is not None:
            raise
        discard(sys.stdout)  # help, which is not written by us
        return _fail(str(OutputError(error)), UNUSABLE)
    except KeyboardInterrupt:
        return INTERRUPTED


def asked(given: Sequence[str]) -> typer.Typer:
    """The app with the command that is asked for alone: all of them take longer than a small fit.

    With whatever else is given, such as a command that there is not, it has all of them.
    """
    known = [one for one in app.registered_commands if given and one.name == given[0]]
    if not known:
        return app
    alone = copy.copy(app)
    alone.registered_commands = known
    return alone


@app.callback(invoke_without_command=True)
def start(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Bayesian hierarchical regression: exact, fast and in plain words."""
    if version:
        say(f"partialpool {partialpool.__version__}")
    elif context.invoked_subcommand is None:
        say(context.get_help())


app.command("fit")(fit_command)
app.command("show")(show_command)
app.command("compare")(compare_command)
app.command("predict")(predict_command)
app.command("check")(check_command)
app.command("effects")(effects_command)
app.command("hypothesis")(hypothesis_command)
app.command("loo")(loo_command)
app.command("lrt")(lrt_command)
app.command("table")(table_command)
app.command("report")(report_command)
app.command("demo")(demo_command)
app.command("data")(data_command)


def _fail(message: str, code: int) -> int:
    say("error: " + " ".join(own_words(message).split()), sys.stderr)
    return code


# What the library that reads options says → what we say.
_USAGE = (
    (r"Invalid value for '(.+?)': .*valid integer.*", r"the value of `\1` is no whole number"),
    (r"Invalid value for '(.+?)': .*valid number.*", r"the value of `\1` is no number"),
    (
        r"Got unexpected extra argument\(s\) \((.*)\)",
        r"too many arguments, `\1`: put into quotes what has blanks",
    ),
    (
        r"No such option: (\S+) \(Possible options?: (.*)\)",
        r"no such option `\1`: did you mean `\2`?",
    ),
)


def _plain_words(message: str) -> str:
    """Say what is wrong with options as all our messages do."""
    for theirs, ours in _USAGE:
        message = re.sub(theirs, ours, message, flags=re.DOTALL)
    return re.sub(r"(?<=\w), (?=--\w)", "` or `", message)


def _usage_error(error: typer.TyperException) -> int:
    format_message: Callable[[], str] = getattr(error, "format_message", lambda: str(error))
    message = _plain_words(format_message().rstrip("."))
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "partialpool"
    return _fail(f"{message[:1].lower()}{message[1:]} (see `{command} --help`).", BAD_INPUT)
