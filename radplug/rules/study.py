"""What is asked about a study before it is drafted: by the rules, for its template, and whether the model is for it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date

from dicom_io.study import date_of
from hl7.orders import Order
from radplug.body_part import body_part
from radplug.domain import KeptInstance, Priority


@dataclass(frozen=True, slots=True)
class Study:
    """Facts of a study, from its images and its order."""

    modality: str
    body_part: str
    procedures: tuple[tuple[str, str], ...] = ()  # (value, scheme): the order's, then the images'
    descriptions: tuple[str, ...] = ()  # the study's, then its series'
    taken_on: date | None = None  # None: the images do not say
    priority: Priority = Priority.ROUTINE
    calling_ae_titles: frozenset[str] = field(default=frozenset())  # who has sent its images
    called_ae_titles: frozenset[str] = field(default=frozenset())  # and as whom we were called

    @classmethod
    def of(cls, kept: Sequence[KeptInstance], order: Order | None, assumed_body_part: str) -> Study:
        """Instances that are no image tell nothing about it."""
        kept = [one for one in kept if one.instance.is_image]
        images = [one.instance for one in kept]
        descriptions = _each_once([*(i.study_description for i in images), *(i.series_description for i in images)])
        codes = [*([order.procedure_code] if order else []), *(i.procedure_code for i in images)]
        told = (*descriptions, *(meaning for _, _, meaning in codes[bool(order) :]))
        return cls(
            modality=_first(i.modality for i in images),
            body_part=body_part(_first(i.body_part for i in images), told, assumed_body_part),
            procedures=tuple(dict.fromkeys((value, scheme) for value, scheme, _ in codes if value)),
            descriptions=descriptions,
            taken_on=date_of(_first(i.study_date for i in images)),
            priority=Priority.of(order) if order else Priority.ROUTINE,
            calling_ae_titles=frozenset(one.calling_ae for one in kept),
            called_ae_titles=frozenset(one.called_ae for one in kept),
        )


def _first(texts: Iterable[str]) -> str:
    return next(filter(None, texts), "")


def _each_once(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(filter(None, texts)))
