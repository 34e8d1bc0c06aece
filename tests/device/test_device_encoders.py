"""Every registered encoder, and every augmenter, on an emulated device."""

import runpy
from pathlib import Path
from typing import Any

import pytest
import torch

from gssl.testing.augmenters import AugmenterContract
from gssl.testing.emulated.cuda import emulated_cuda, needs_emulated_cuda
from gssl.testing.encoders import EncoderContract
from gssl.testing.toy import HETERO_KINDS, KINDS, Kind, toy_batch

pytestmark = needs_emulated_cuda()
FOLDER = Path(__file__).resolve().parents[1] / "contracts"


def contracts(file: str, base: type[Any]) -> list[Any]:
    found = runpy.run_path(str(FOLDER / file)).values()
    return [value for value in found if isinstance(value, type) and issubclass(value, base) and value is not base]


ENCODERS: list[type[EncoderContract]] = contracts("test_contracts_encoders.py", EncoderContract)
AUGMENTERS: list[type[AugmenterContract]] = contracts("test_contracts_augmenters.py", AugmenterContract)
CASES = [
    pytest.param(contract, kind, id=f"{contract.__name__}-{kind}")
    for contract in ENCODERS
    for kind in (HETERO_KINDS if contract.encoder.needs_types else KINDS)
    if kind != "node-gathered"  # on the device they are dense
]


@pytest.mark.parametrize(("contract", "kind"), CASES)
def test_an_encoder_has_outputs_and_gradients_of_the_cpu(contract: type[EncoderContract], kind: Kind) -> None:
    attributes = bool(contract.options.get("edge_dim"))

    def found(device: str) -> list[torch.Tensor]:
        batch = toy_batch(kind, attributes=attributes)
        encoder = contract().build(batch.in_dim).to(device).eval()
        out = encoder(batch.to(torch.device(device)))
        out.square().sum().backward()
        return [out.detach().cpu(), *(p.grad.cpu() for p in encoder.parameters() if p.grad is not None)]

    expected = found("cpu")
    with emulated_cuda():
        torch.testing.assert_close(found("cuda"), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("contract", AUGMENTERS, ids=lambda contract: contract.__name__)
def test_views_stay_on_the_device_of_their_batch(contract: type[AugmenterContract]) -> None:
    for kind in contract.kinds:
        with emulated_cuda():
            contract().test_view_is_a_valid_batch_on_the_same_device(kind, "cuda")
