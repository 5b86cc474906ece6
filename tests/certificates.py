"""Certificates for tests, and how DCMTK's tools are told of them."""

from __future__ import annotations

from dicom_io.certificates import Files
from radplug.acceptance.authority import Authority, authority

__all__ = ["Authority", "authority", "dcmtk_options"]


def dcmtk_options(files: Files) -> list[str]:
    """For DCMTK's tools, who then show and trust what `files` say."""
    if files.own is None:
        return ["+tla", "+cf", str(files.authorities)]
    certificate, key = files.own
    return ["+tls", str(key), str(certificate), "+cf", str(files.authorities)]
