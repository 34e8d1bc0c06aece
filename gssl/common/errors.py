"""The ways in which a run can end early."""

from collections.abc import Iterable
from difflib import get_close_matches


class InputError(ValueError):
    """Bad usage or bad input. The message says what to change; the command line exits with code 2."""


class StorageError(InputError):
    """A disk or a database refuses to be read or written; the work itself is not at fault and can go on later."""


class TrainingError(RuntimeError):
    """The work itself failed, for example a loss that is not finite; the command line exits with code 1."""


class LostProcessError(TrainingError):
    """Another process of the same training is gone; what was saved stays, and the same command goes on from it."""


class Interrupted(KeyboardInterrupt):
    """A signal other than Ctrl-C ended the run after its state was saved; the exit code is 128 + ``signum``.

    Args:
        signum: the signal, for example 15 for SIGTERM.
    """

    def __init__(self, signum: int) -> None:
        super().__init__(f"stopped by signal {signum}; the same command continues from the checkpoint")
        self.signum = signum


def unknown(kind: str, name: str, known: Iterable[str]) -> InputError:
    """An error for a name that does not exist, with the nearest valid names.

    Args:
        kind: what was looked up, for example ``"method"``.
        name: the name as the user wrote it.
        known: every valid name.

    Example:
        >>> print(unknown("method", "GRACEE", ["GRACE", "BGRL"]))
        unknown method 'GRACEE'; did you mean 'GRACE'?
    """
    known = sorted(known)
    by_lower = {k.lower(): k for k in known}
    near = [by_lower[m] for m in get_close_matches(name.lower(), by_lower, n=3, cutoff=0.55)]
    if near:
        return InputError(f"unknown {kind} {name!r}; did you mean {' or '.join(map(repr, near))}?")
    return InputError(f"unknown {kind} {name!r}; known: {', '.join(known) or 'none'}")
