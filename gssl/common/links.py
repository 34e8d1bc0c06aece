"""The folders that the package reaches through symbolic links, and what is wrong when a clone lost them."""

from pathlib import Path

LINKED = ("samplers", "models", "datasets", "benchmarks")
REPAIR = (
    "the clone lost its symbolic links: run `git config core.symlinks true && git checkout -- gssl/` "
    "(a downloaded zip cannot be repaired: clone instead)"
)


def broken_links() -> list[str]:
    """Names of the linked folders that are not folders here, for example after a clone without symbolic links."""
    package = Path(__file__).resolve().parents[1]
    return [name for name in LINKED if not (package / name).is_dir()]
