"""Azure's sizes of machines that this project has a use for, or that somebody may still have in an old file.

From Microsoft's pages on sizes (github.com/MicrosoftDocs/azure-compute-docs; NVadsA10_v5 as of 2024-07-31, read in
2026-11; T4, A100 and H100 from memory). Prices differ by region and change, so there is only a class. Retirements: NV
on 2023-09-06 and NCv3 on 2025-09-30 by Microsoft's pages; that of NVv3 and NVv4 was announced for September 2026,
which could not be looked up anew.
"""

import difflib
import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Final, Literal


@dataclass(frozen=True, slots=True)
class Size:
    """What a machine has."""

    processors: int  # virtual ones
    gpus: Fraction  # a part of one is a GPU to the machine
    gpu: str
    price: Literal["low", "middle", "high"]  # an hour, by class
    graphics: bool = True  # whether its driver draws; those for computing alone do not

    @property
    def games(self) -> int:
        """Games that it takes, one for each GPU that the machine sees."""
        return max(1, int(self.gpus))


_ONE: Final = Fraction(1)
_A10, _T4 = "NVIDIA A10, 24 GB", "NVIDIA T4, 16 GB"
_A100, _H100 = "NVIDIA A100, 80 GB", "NVIDIA H100, 94 GB"
SIZES: Final = {
    "Standard_NV6ads_A10_v5": Size(6, _ONE / 6, "a sixth of an A10, 4 GB", "low"),
    "Standard_NV12ads_A10_v5": Size(12, _ONE / 3, "a third of an A10, 8 GB", "low"),
    "Standard_NV18ads_A10_v5": Size(18, _ONE / 2, "half an A10, 12 GB", "low"),
    "Standard_NV36ads_A10_v5": Size(36, _ONE, _A10, "middle"),
    "Standard_NV36adms_A10_v5": Size(36, _ONE, _A10, "middle"),
    "Standard_NV72ads_A10_v5": Size(72, _ONE * 2, _A10, "middle"),
    "Standard_NC4as_T4_v3": Size(4, _ONE, _T4, "low"),
    "Standard_NC8as_T4_v3": Size(8, _ONE, _T4, "low"),
    "Standard_NC16as_T4_v3": Size(16, _ONE, _T4, "low"),
    "Standard_NC64as_T4_v3": Size(64, _ONE * 4, _T4, "middle"),
    "Standard_NC24ads_A100_v4": Size(24, _ONE, _A100, "high", graphics=False),
    "Standard_NC48ads_A100_v4": Size(48, _ONE * 2, _A100, "high", graphics=False),
    "Standard_NC96ads_A100_v4": Size(96, _ONE * 4, _A100, "high", graphics=False),
    "Standard_NC40ads_H100_v5": Size(40, _ONE, _H100, "high", graphics=False),
    "Standard_NC80adis_H100_v5": Size(80, _ONE * 2, _H100, "high", graphics=False),
}
REPLACEMENT: Final = "Standard_NV72ads_A10_v5 has two GPUs, as NV12 had; Standard_NV12ads_A10_v5 a third of one, 8 GB"
_RETIRED: Final = (
    (r"Standard_NV(6|12|24)(_Promo)?", "NV, with M60 GPUs, ended on 2023-09-06"),
    (r"Standard_NV(6|12|24)s_v2", "NVv2, with M60 GPUs, has ended"),
    (r"Standard_NV(12|24|48)s_v3", "NVv3, with M60 GPUs, was to end in September 2026"),
    (r"Standard_NV(4|8|16|32)as_v4", "NVv4, with AMD GPUs that PyTorch has no use for, was to end in September 2026"),
    (r"Standard_NC(6|12|24|24r)(_Promo)?", "NC, with K80 GPUs, has ended"),
    (r"Standard_NC(6|12|24|24r)s_v2", "NCv2, with P100 GPUs, has ended"),
    (r"Standard_NC(6|12|24|24r)s_v3", "NCv3, with V100 GPUs, ended on 2025-09-30"),
    (r"Standard_ND(6|12|24|24r)s", "ND, with P40 GPUs, has ended"),
)

# fmt: off
REGIONS: Final = frozenset((  # from memory, as of 2026
    "australiacentral", "australiaeast", "australiasoutheast", "austriaeast", "belgiumcentral", "brazilsouth",
    "brazilsoutheast", "canadacentral", "canadaeast", "centralindia", "centralus", "chilecentral", "eastasia",
    "eastus", "eastus2", "francecentral", "francesouth", "germanynorth", "germanywestcentral",
    "indonesiacentral", "israelcentral", "italynorth", "japaneast", "japanwest", "koreacentral", "koreasouth",
    "malaysiawest", "mexicocentral", "newzealandnorth", "northcentralus", "northeurope", "norwayeast",
    "norwaywest", "polandcentral", "qatarcentral", "southafricanorth", "southafricawest", "southcentralus",
    "southeastasia", "southindia", "spaincentral", "swedencentral", "switzerlandnorth", "switzerlandwest",
    "uaecentral", "uaenorth", "uksouth", "ukwest", "westcentralus", "westeurope", "westindia", "westus",
    "westus2", "westus3",
))
# fmt: on


def retired(name: str) -> str | None:
    """Why a size is to be had no more, or None."""
    return next((why for pattern, why in _RETIRED if re.fullmatch(pattern, name, re.IGNORECASE)), None)


def nearest(word: str, known: "frozenset[str] | dict[str, Size]") -> str | None:
    """What may have been meant by a word that is not known."""
    lower = {name.lower(): name for name in known}
    return next((lower[name] for name in difflib.get_close_matches(word.lower(), lower, n=1, cutoff=0.75)), None)


def has_gpu(name: str) -> bool:
    """Whether a size's name is one of Azure's families with GPUs, which all begin with N."""
    return re.match(r"standard_?n", name, re.IGNORECASE) is not None


def is_a_size(name: str) -> bool:
    """Whether a name is built as Azure's are: Standard_, a family, a number, features, a version."""
    return re.fullmatch(r"(Standard|Basic)_[A-Z]{1,3}\d+[a-z]*(-\d+[a-z]*)?(_[A-Za-z0-9]+)*", name) is not None
