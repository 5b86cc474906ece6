"""Unique identifiers: ours under the UUID root 2.25, which needs no registration (PS3.5 B.2)."""

from __future__ import annotations

from typing import Final
from uuid import UUID, uuid5

from pydicom.uid import generate_uid

# Who wrote a file or opened an association (PS3.7 D.3.3.2): the same for all releases, which the version tells apart.
IMPLEMENTATION_CLASS_UID: Final = "2.25.264285425318433500075264847367463457767"
IMPLEMENTATION_VERSION_NAME: Final = "RADPLUG_0.1"  # SH, at most 16 characters

_NAMESPACE: Final = UUID("3a7c4820-8ec6-4462-ac64-5f1b35bde079")


def mint_uid() -> str:
    """A UID that nobody has had before."""
    return str(generate_uid(prefix=None))


def uid_for(name: str) -> str:
    """Always the same UID for the same name: for what has a name but no UID, such as a device by its serial number."""
    return f"2.25.{uuid5(_NAMESPACE, name).int}"
