import subprocess
import sys
from pathlib import Path

import pytest

import gssl.methods
from gssl.common.errors import InputError
from gssl.config.presets import presets_of
from gssl.config.record import plain
from gssl.config.resolve import Request, Subject, resolve
from gssl.datasets.catalog import BY_NAME, DatasetSpec
from gssl.registry import METHODS, PROBES, SETTINGS, TASKS

FOLDER = Path(gssl.methods.__path__[0]) / "presets"
PRESETS = [(file.stem, name) for file in sorted(FOLDER.glob("*.yaml")) for name in presets_of(file.stem)]


def test_every_file_belongs_to_a_method() -> None:
    assert {file.stem for file in FOLDER.glob("*.yaml")} <= {name.lower() for name in METHODS.names()}
    assert PRESETS


def dataset_of(preset: str) -> DatasetSpec | None:
    """The dataset that a preset such as ``Cora`` or ``Cora-P2`` is for."""
    fitting = [spec for spec in BY_NAME.values() if preset == spec.name or preset.startswith(f"{spec.name}-")]
    return max(fitting, key=lambda spec: len(spec.name), default=None)


@pytest.mark.parametrize(("method", "preset"), PRESETS)
def test_every_preset_fits_its_method_and_says_where_it_comes_from(method: str, preset: str) -> None:
    name = METHODS.canonical(method)
    layer = presets_of(name)[preset]
    assert len(layer.source) > 5
    spec = dataset_of(preset)
    assert spec is not None or preset.partition("-")[0] == "default"
    level = spec.level if spec else "graph" if preset == "default-graph" else METHODS.get(name).levels[0]
    subject = Subject(spec.name if spec else "graph", "graph", level, spec.probe if spec else "LBFGS")
    task, setting = (
        next((part for part in preset.split("-")[1:] if part in family.names()), None) for family in (TASKS, SETTINGS)
    )
    config = resolve(Request(name, preset=preset, task=task, setting=setting), subject)
    assert config.preset == preset
    sections = {
        "method": config.method.options,
        "encoder": config.encoder.options,
        "train": vars(config.train),
        "probe": config.probe.options,
        "setting": config.setting.options,
        "finetune": vars(config.finetune) if config.finetune else {},
    }
    for kind, options in sections.items():
        for key, value in layer.section(kind).options.items():
            assert plain(options[key]) == value


@pytest.mark.parametrize("method", [name for name in METHODS.names() if len(METHODS.get(name).levels) == 2])
def test_sets_of_graphs_do_not_fall_to_the_default_of_nodes(method: str) -> None:
    if "default" not in presets_of(method):
        return
    config = resolve(Request(method), Subject("unheard-of", "unheard-of", "graph", "P5-RBF"))
    assert config.preset == "default-graph"
    assert resolve(Request(method), Subject("unheard-of", "unheard-of", "node", "LBFGS")).preset == "default"


def subject(dataset: str) -> Subject:
    spec = BY_NAME[dataset]
    return Subject(spec.name, spec.name, spec.level, spec.probe)


@pytest.mark.parametrize(
    ("probe", "preset", "hidden_dim"), [(None, "CiteSeer", 1024), ("p2", "CiteSeer-P2", 512), ("P1", "CiteSeer", 1024)]
)
def test_a_preset_belongs_to_a_dataset_and_a_protocol(probe: str | None, preset: str, hidden_dim: int) -> None:
    config = resolve(Request("GRACE", probe=probe), subject("CiteSeer"))
    assert (config.preset, config.encoder.options["hidden_dim"]) == (preset, hidden_dim)


def test_values_of_another_protocol_are_noted() -> None:
    config = resolve(Request("GCA"), subject("Computers"))
    assert config.notes == ("the values of preset Computers were made for P3-GCA, this run is judged by P3-BGRL",)
    assert resolve(Request("GCA", probe="P3-GCA"), subject("Computers")).notes == ()
    assert resolve(Request("GRACE"), subject("CiteSeer")).notes == ()


@pytest.mark.parametrize(("method", "preset"), PRESETS)
def test_a_protocol_is_a_probe_or_words(method: str, preset: str) -> None:
    protocol = presets_of(method)[preset].protocol
    assert protocol in ("", *PROBES.names()) or " " in protocol
    spec = dataset_of(preset)
    assert not (spec and protocol == spec.probe), "that is the usual one"


def test_presets_are_read_without_torch() -> None:
    code = (
        "import sys; from gssl.config.presets import choose; "
        "print(choose('grace', 'cora', None)[0], 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["Cora", "False"]


def test_plug_in_brings_its_own_presets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "brought.py").write_text("class Mine: pass")
    (tmp_path / "presets").mkdir()
    (tmp_path / "presets" / "mine.yaml").write_text("Cora: {train: {lr: 1e-2}}")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert presets_of("brought:Mine")["Cora"].section("train").options == {"lr": 0.01}
    assert presets_of("brought:Other") == {}
    assert presets_of("no.such.module:Mine") == {}


def test_broken_preset_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "grace.yaml"
    file.write_text("Cora: 3")
    monkeypatch.setattr("gssl.config.presets.preset_file", lambda method: file)
    with pytest.raises(InputError, match=r"grace\.yaml.*'Cora' must be a mapping"):
        presets_of("GRACE")
