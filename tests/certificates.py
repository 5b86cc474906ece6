"""Certificates for tests, how DCMTK's tools are told of them, and clients that know no newer TLS."""

from __future__ import annotations

import ssl

from dicom_io.certificates import Files
from radplug.acceptance.authority import Authority, authority

__all__ = ["HALF_A_HELLO", "Authority", "authority", "client_up_to", "dcmtk_options"]

HALF_A_HELLO = bytes.fromhex("1603010200010001fc")  # a ClientHello's beginning


def dcmtk_options(files: Files) -> list[str]:
    """For DCMTK's tools, who then show and trust what `files` say."""
    if files.own is None:
        return ["+tla", "+cf", str(files.authorities)]
    certificate, key = files.own
    return ["+tls", str(key), str(certificate), "+cf", str(files.authorities)]


def client_up_to(newest: ssl.TLSVersion) -> ssl.SSLContext:
    """A client's TLS that takes whatever is older; OpenSSL has it say that this is deprecated."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, newest
    return context
