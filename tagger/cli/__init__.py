"""The command line: `gtag COMMAND`. One module a command, imported when it is used.

A command turns options into a library call and prints the results. Heavy imports are inside the
commands' bodies, so that `gtag --help` is quick.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
from typing import NoReturn

import click

from tagger.cli.names import Group, help_alone
from tagger.cli.settings import with_settings
from tagger.cli.streams import STDOUT, give_up_stdout, make_streams_usable
from tagger.system.errors import ExitStatus, GtagError
from tagger.system.logs import log_on_stderr

# Each name is a module of this package that holds a command of the same name.
COMMANDS = (
    "scan",
    "watch",
    "show",
    "audit",
    "review",
    "apply",
    "tidy",
    "undo",
    "demo",
    "models",
    "genres",
    "cache",
    "config",
    "doctor",
    "train",
    "evaluate",
)


class _LazyGroup(Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"tagger.cli.{cmd_name}")
        return with_settings(cmd_name, getattr(module, cmd_name))


@click.group(
    cls=_LazyGroup,
    invoke_without_command=True,
    subcommand_metavar="COMMAND [ARGS]...",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 88},
    epilog="Exit status: 0 all well, 1 finished but something failed, 2 wrong usage or "
    "configuration, 130 interrupted.",
)
@click.version_option(package_name="gtag-music", prog_name="gtag")
@click.pass_context
def cli(context: click.Context) -> ExitStatus:
    """Find the genres of a music collection by its sound, and write them into its tags.

    gtag shows what it would write before it writes, keeps the genres that people wrote, leaves
    alone what it is unsure of, and can take back what it wrote.
    """
    return help_alone(context) if context.invoked_subcommand is None else ExitStatus.OK


def main() -> NoReturn:
    """Run the command line and end the process with its exit status."""
    from tagger.system.screen import printable

    make_streams_usable()
    log_on_stderr()
    try:
        status = cli.main(prog_name="gtag", standalone_mode=False)
        sys.stdout.flush()
    except click.UsageError as error:
        usage = f"{error.ctx.get_usage()}\n" if error.ctx else ""
        told = f"{_variable_of(error)}{error.format_message()}"
        _fail(f"{usage}gtag: {printable(told)}", ExitStatus.USAGE)
    except click.ClickException as error:
        _fail(f"gtag: {printable(error.format_message())}", ExitStatus.USAGE)
    except GtagError as error:
        _fail(f"gtag: {printable(str(error))}", error.exit_status)
    except (click.Abort, KeyboardInterrupt):
        _end_undisturbed()
        _fail("gtag: interrupted", ExitStatus.INTERRUPTED)
    except OSError as error:
        if error.filename == STDOUT:
            give_up_stdout()
            if isinstance(error, BrokenPipeError):  # as of `gtag … | head`
                sys.exit(int(ExitStatus.PROBLEMS))
            _fail(f"gtag: {STDOUT} cannot be written: {error.strerror}", ExitStatus.PROBLEMS)
        _fail_where_something_ran_out(error)
        where = "" if error.filename is None else f"{os.fsdecode(error.filename)}: "
        said = printable(f"{where}{error.strerror or error}")
        _fail(f"gtag: cannot go on: {said}", ExitStatus.PROBLEMS)
    except Exception as error:
        _fail_where_something_ran_out(error)
        if "GTAG_TRACEBACK" in os.environ:
            raise
        if isinstance(error, ImportError):
            _fail(
                f"gtag: a part of gtag is missing or broken: {printable(str(error))}\n"
                "Install gtag again, as its README says.",
                ExitStatus.USAGE,
            )
        _fail(
            f"gtag: this is a bug in gtag. {type(error).__name__}: {printable(str(error))}\n"
            "Please report it, with the traceback that GTAG_TRACEBACK=1 in the environment prints.",
            ExitStatus.PROBLEMS,
        )
    _end_undisturbed()
    sys.exit(int(status or ExitStatus.OK))


def _variable_of(error: click.UsageError) -> str:
    """Return the variable of the environment that a wrong value comes from, if any."""
    param = error.param if isinstance(error, click.BadParameter) else None
    if error.ctx is None or param is None or not param.name or not param.envvar:
        return ""
    source = error.ctx.get_parameter_source(param.name)
    if source is not click.core.ParameterSource.ENVIRONMENT:
        return ""
    return f"{next(name for name in param.envvar if os.environ.get(name))} in the environment: "


def _end_undisturbed() -> None:
    """Ignore Ctrl-C from now on: it must not change the exit status."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _fail_where_something_ran_out(error: Exception) -> None:
    from tagger.system.exhausted import what_ran_out

    lacking = what_ran_out(error)
    if lacking is not None:
        _fail(f"gtag: {lacking}", lacking.exit_status)


def _fail(message: str, status: ExitStatus) -> NoReturn:
    click.echo(message, err=True)
    sys.exit(int(status))
