"""Resources, validated by fhir.resources before anything is read from them.

Its R4B models (FHIR 4.3.0) stand for R4 (4.0.1), for which it has none: of what is used here, DiagnosticReport,
Observation, ImagingStudy, Patient, Device, Bundle and OperationOutcome, 4.3.0 has changed no element. The library does
not look at codes of required value sets, such as a status: whoever reads one does.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, TypeVar

from fhir_core.fhirabstractmodel import FHIRAbstractModel
from pydantic import ValidationError

from radplug.fhir.errors import Malformed

Resource = TypeVar("Resource", bound=FHIRAbstractModel)


def validated(kind: type[Resource], given: bytes | dict[str, Any]) -> Resource:
    """The resource. Raises Malformed, with the places of what is wrong and none of its contents."""
    try:
        return kind.model_validate_json(given) if isinstance(given, bytes) else kind.model_validate(given)
    except ValidationError as error:
        faults = error.errors(include_input=False, include_url=False)
        where = list(dict.fromkeys(_place(fault["loc"]) for fault in faults))
        raise Malformed(f"is no valid {kind.__name__} of FHIR R4, at {', '.join(where[:5])}") from None
    except (LookupError, TypeError):  # how the library meets a resource type that there is not
        raise Malformed(f"is no valid {kind.__name__} of FHIR R4: it holds a resource of an unknown type") from None


def _place(location: Sequence[int | str]) -> str:
    """Names of elements; what is no such name may be anything."""
    names = (str(part) if re.fullmatch(r"\w{1,40}", str(part)) else "?" for part in location)
    return ".".join(names) or "its beginning"
