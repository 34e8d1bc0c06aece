"""``gssl embed``: compute the embeddings of a finished run again and write them in another format."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from gssl.cards.answer import Answer
from gssl.cli.command import Command
from gssl.cli.parser import add_json, choice

_EXAMPLES = (
    "gssl embed runs/GRACE-Cora-1a2b3c4d                        embeddings.npz beside each checkpoint",
    "gssl embed runs/GRACE-Cora-1a2b3c4d --format parquet       one column per dimension",
)


def run(args: Namespace) -> Answer:
    """Embed with every trained seed of a run."""
    from gssl.experiment.reload import embed_run

    written = embed_run(args.run_dir, args.format, device=args.device)
    data = {
        "run_dir": str(args.run_dir.resolve()),
        "format": args.format,
        "files": [str(file) for file in written.files],
        "shape": list(written.shape),
    }
    lines = [f"{file}  {written.shape[0]} x {written.shape[1]}" for file in written.files]
    return Answer(data, ["\n".join(lines)])


def _arguments(parser: ArgumentParser) -> None:
    parser.add_argument("run_dir", metavar="RUN_DIR", type=Path, help="folder of a run")
    parser.add_argument(
        "--format",
        metavar="npz|parquet|safetensors",
        type=choice("npz", "parquet", "safetensors"),
        default="npz",
        help="file format (default: npz)",
    )
    parser.add_argument("--device", metavar="auto|cpu|cuda", type=choice("auto", "cpu", "cuda"), default="auto")
    add_json(parser)


COMMAND = Command("embed", "embed a dataset with the trained encoders of a run", _EXAMPLES, _arguments, run)
