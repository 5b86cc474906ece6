"""What can go wrong with a FHIR server or a FHIRcast hub; no text quotes what a resource holds."""

from __future__ import annotations


class FhirError(Exception):
    """Something that FHIR is about went wrong; the text says what, for people."""


class Malformed(FhirError):
    """What came is no resource that can be used here."""


class Refused(FhirError):
    """The server will not take it, now or later."""


class Unavailable(FhirError):
    """The server may take it later."""
