import json
from pathlib import Path

import pytest

from gssl.benchmarks.perf.registry import BENCHMARKS
from gssl.cli.main import main

BENCH = """
from gssl.benchmarks.perf.result import Measured, compare
from gssl.common.options import PositiveInt


def run(*, nodes: PositiveInt = 10):
    peer = Measured("other library", (0.2, 0.4, 0.6), 100.0)
    return compare(
        "tiny", Measured("gssl", (0.1, 0.2, 0.3), 50.0), [peer], absent={"third": "needs a compiler"},
        figures={"agreement": 1e-6}, config={"nodes": nodes}, environment={},
    )
"""


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "benched.py").write_text(BENCH)
    monkeypatch.syspath_prepend(str(tmp_path))
    return "benched:run"


def test_json_has_the_promised_keys(bench: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["perf", bench, "--json", "--set", "nodes=7"]) == 0
    data = json.loads(capfd.readouterr().out)
    assert (data["name"], data["ours"], data["peer"], data["peer_name"]) == ("tiny", 0.2, 0.4, "other library")
    assert (data["ratio"], data["memory_ratio"], data["config"]) == (2.0, 2.0, {"nodes": 7})


def test_table_names_ratios_and_absent_peers(bench: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["perf", bench]) == 0
    out = capfd.readouterr().out
    assert "tiny (nodes 10)" in out
    assert any(line.split() == ["other", "library", "400.0", "100", "2.00", "2.00"] for line in out.splitlines())
    assert "third is not installed: needs a compiler" in out


def test_options_are_checked(bench: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["perf", bench, "--set", "nodes=0"]) == 2
    assert "greater than or equal to 1" in capfd.readouterr().err


@pytest.mark.parametrize("name", BENCHMARKS.names())
def test_every_benchmark_is_there_and_has_only_defaults(name: str) -> None:
    from gssl.common.options import options_of

    assert not [option.name for option in options_of(BENCHMARKS.get(name)).values() if option.required]


def test_the_help_names_every_benchmark(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["perf", "--help"])
    out = " ".join(capfd.readouterr().out.split())
    assert not [name for name in BENCHMARKS.names() if name not in out]
