"""The table of planted faults, in the order of the contract as far as they have one."""

from typing import Final

from tests.proof.planted import deciding, domain, lasting, moving, serving, writing
from tests.proof.planted.fault import Edit, Fault

__all__ = ["FAULTS", "Edit", "Fault"]

FAULTS: Final = (*deciding.FAULTS, *domain.FAULTS, *writing.FAULTS, *lasting.FAULTS, *moving.FAULTS, *serving.FAULTS)
