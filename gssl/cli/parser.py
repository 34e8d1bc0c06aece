"""Argument parsing that answers a wrong word with the nearest right one."""

from __future__ import annotations

import re
from argparse import ArgumentParser, ArgumentTypeError, Namespace, RawDescriptionHelpFormatter
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import NoReturn

from gssl import __version__
from gssl.cli.command import Command
from gssl.common.errors import InputError, unknown

DESCRIPTION = """\
Self-supervised learning on graphs, settled by experiment: pretrain a method on real data, judge its frozen
embeddings by a named protocol, and keep a result that can be traced to seed, configuration, split and versions."""

EXAMPLES = (
    "gssl list methods                 what there is; also datasets, encoders, probes, samplers, suites",
    "gssl show GRACE                   its paper, options, defaults and presets",
    "gssl run GRACE Cora --seeds 5     pretrain, judge and store",
    "gssl run my_file:MyMethod Cora    a method of your own",
)

ENVIRONMENT = """\
environment:
  GSSL_DATA     where datasets are kept (default: the user's cache folder)
  GSSL_MIRROR   read-only copies of raw files, looked at before anything is downloaded
  GSSL_RUNS     where run folders go (default: ./runs)
  GSSL_DB       results store, an SQLAlchemy URL (default: results.db in the run root)

completion in the shell:
  pip install 'gssl[complete]', and eval "$(register-python-argcomplete gssl)" where your shell starts

exit codes: 0 done, 1 the work failed, 2 bad usage or bad input (the message says what to change)"""

_SETTING = re.compile(r"[A-Za-z_][\w.]*=.")


class Parser(ArgumentParser):
    """An argument parser that raises InputError instead of leaving the program."""

    def __init__(self, **settings: object) -> None:
        super().__init__(allow_abbrev=False, formatter_class=RawDescriptionHelpFormatter, **settings)  # type: ignore[arg-type]  # passed through

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message}\nsee `{self.prog} --help`")


def parse(arguments: Sequence[str], commands: Sequence[Command]) -> tuple[Command, Namespace]:
    """The command that is asked for and its arguments.

    Raises:
        InputError: an unknown command or option (the nearest one is named), or a wrong value.
        SystemExit: after ``--help`` and ``--version``.
    """
    by_name = {command.name: command for command in commands}
    parser, subparsers = build(commands)
    if arguments and not arguments[0].startswith("-") and arguments[0] not in by_name:
        raise unknown("command", arguments[0], by_name)
    parsed, extra = parser.parse_known_args(arguments)
    if parsed.command is None:
        parser.error("say what to do")
    _refuse_setting_as_dataset(parsed)
    if extra:
        _refuse(extra, subparsers[parsed.command])
    return by_name[parsed.command], parsed


def choice(*names: str) -> Callable[[str], str]:
    """An argument type: one of ``names``, in any case; a wrong one is answered with the nearest."""

    def convert(text: str) -> str:
        by_lower = {name.lower(): name for name in names}
        if text.lower() not in by_lower:
            raise ArgumentTypeError(str(unknown("value", text, names)))
        return by_lower[text.lower()]

    return convert


def integer(low: int, high: int | None = None) -> Callable[[str], int]:
    """An argument type: an integer of at least ``low``, and at most ``high`` if that is given."""

    def convert(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            raise ArgumentTypeError(f"must be a whole number (got {text!r})") from None
        if value < low:
            raise ArgumentTypeError(f"must be at least {low} (got {value})")
        if high is not None and value > high:
            raise ArgumentTypeError(f"must be at most {high} (got {value})")
        return value

    return convert


# What is absurd is refused: so many threads take more memory for their stacks than there is, and end the process.
threads = integer(1, 1024)


def amount(text: str) -> float | int:
    """An argument type: a share above 0 and at most 1, with a point in it, or a whole number of at least 1."""
    try:
        value: float | int = int(text) if text.strip().isdecimal() else float(text)
    except ValueError:
        raise ArgumentTypeError(f"must be a share such as 0.1, or a whole number for each class (got {text})") from None
    if (isinstance(value, float) and not 0 < value <= 1) or (value < 1 and isinstance(value, int)):
        raise ArgumentTypeError(f"must be a share above 0 and at most 1, or a whole number of at least 1 (got {text})")
    return value


def positive(text: str) -> float:
    """An argument type: a finite number above zero."""
    try:
        value = float(text)
    except ValueError:
        raise ArgumentTypeError(f"must be a number (got {text!r})") from None
    if not 0 < value < float("inf"):
        raise ArgumentTypeError(f"must be above zero (got {text})")
    return value


def add_json(parser: ArgumentParser) -> None:
    """Declare ``--json``."""
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else on standard output")


def build(commands: Sequence[Command]) -> tuple[Parser, dict[str, Parser]]:
    """The parser of the program, and those of its commands by name."""
    parser = Parser(prog="gssl", description=DESCRIPTION, epilog=_examples(EXAMPLES) + "\n\n" + ENVIRONMENT)
    parser.add_argument("--version", action="version", version=f"gssl {__version__}")
    family = parser.add_subparsers(dest="command", metavar="COMMAND", parser_class=Parser, title="commands")
    made = {}
    for command in commands:
        made[command.name] = family.add_parser(
            command.name, help=command.summary, description=command.summary, epilog=_examples(command.examples)
        )
        command.add_arguments(made[command.name])
    return parser, made


def _examples(lines: Sequence[str]) -> str:
    return "examples:\n" + "\n".join(f"  {line}" for line in lines)


def _refuse(extra: Sequence[str], parser: ArgumentParser) -> NoReturn:
    # argparse keeps its table of options private; there is no public way to list them.
    known = parser._option_string_actions
    options = [word for word in extra if word.startswith("-")]
    if not options:
        if "--set" in known and (setting := next(filter(_SETTING.match, extra), None)):
            parser.error(f"{setting} is a setting: say --set {setting}")
        parser.error(f"too many arguments: {' '.join(extra)}")
    word = options[0].partition("=")[0]
    error = unknown(f"option of `{parser.prog}`", word, known)
    setting = _as_setting(options[0], extra)
    if "--set" not in known or get_close_matches(word, known, cutoff=0.8) or not _SETTING.match(setting):
        raise error
    told = str(error) if "did you mean" in str(error) else str(error).partition(";")[0]
    raise InputError(f"{told}; a setting of the method or of another part is given by --set {setting}")


def _as_setting(option: str, extra: Sequence[str]) -> str:
    """``--drop-edge 0.3`` and ``--drop-edge=0.3`` as ``drop_edge=0.3``."""
    name, equals, value = option.lstrip("-").partition("=")
    behind = extra[extra.index(option) + 1 :]
    given = value if equals else behind[0] if behind and not behind[0].startswith("--") else "VALUE"
    return f"{name.replace('-', '_')}={given}"


def _refuse_setting_as_dataset(parsed: Namespace) -> None:
    """Say what a setting that stands alone is, which argparse takes for the dataset.

    Raises:
        InputError: it is one.
    """
    word = getattr(parsed, "dataset", None)
    if word and hasattr(parsed, "set") and _SETTING.match(word) and not Path(word).exists():
        raise InputError(f"{word} is a setting, but the dataset is missing or stands elsewhere: say --set {word}")
