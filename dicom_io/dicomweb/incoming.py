"""A multipart/related body of DICOM files (PS3.18 10.5.2) as it arrives; each part is whole before it is used."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryFile
from typing import BinaryIO, Final

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from dicom_io.dicomweb.sent import Sent, sent_as
from dicom_io.dicomweb.store_answer import FailureReason, Outcome
from dicom_io.errors import NoSpace, Unreadable
from dicom_io.offered import supports
from dicom_io.study import Instance

DICOM: Final = "application/dicom"


class BadBody(Exception):
    """The body is not what its header says; the text says how. What came whole before is kept."""


class WrongType(Exception):
    """The body's media type is not one that is taken; the text says which is."""


class TooLarge(Exception):
    """A part is longer than is taken; the text says how long that is."""


def boundary_of(content_type: str) -> bytes:
    """What stands between the parts.

    Raises:
        WrongType: it is no multipart/related of application/dicom.
    """
    media_type, options = parse_options_header(content_type)
    of_dicom = options.get(b"type", b"").decode("latin-1").lower() == DICOM
    if media_type != b"multipart/related" or not of_dicom or not options.get(b"boundary"):
        raise WrongType('wanted is multipart/related; type="application/dicom"; boundary=…')
    return options[b"boundary"]


class Incoming:
    """Takes a body in pieces. Each part is spooled to an unnamed file in `folder`, then read and given to `keep`.

    `keep` returns once the instance is safe, and raises NoSpace or Unreadable where it cannot be kept. At most one
    instance is held in memory.
    """

    def __init__(
        self,
        boundary: bytes,
        folder: Path,
        keep: Callable[[Sent], None],
        *,
        largest_instance: int,
        study_uid: str = "",
        source_ae_title: str = "",
    ) -> None:
        """With `study_uid` instances of other studies are refused. Raises BadBody where the boundary is too long."""
        self.outcomes: list[Outcome] = []
        self._folder, self._keep = folder, keep
        self._largest_instance, self._study_uid, self._source = largest_instance, study_uid, source_ae_title
        self._spool: BinaryIO | None = None
        self._size = 0
        self._name = self._value = b""
        self._media_type = DICOM
        self._whole = False
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._begin,
                    "on_header_field": self._header_name,
                    "on_header_value": self._header_value,
                    "on_header_end": self._header_end,
                    "on_part_data": self._data,
                    "on_part_end": self._end,
                    "on_end": self._over,
                },
            )
        except FormParserError as error:
            raise BadBody(str(error)) from None

    def take(self, piece: bytes) -> None:
        """Raises BadBody, TooLarge, and OSError where nothing can be spooled."""
        try:
            self._parser.write(piece)
        except FormParserError:
            raise BadBody("the body is not divided as its boundary says") from None

    def finish(self) -> None:
        """Raises BadBody where the body ended too soon, or held nothing."""
        if not self._whole:
            raise BadBody("the body ends before its closing boundary")
        if not self.outcomes:
            raise BadBody("the body holds no part")

    def close(self) -> None:
        """Forget a part that has not come whole."""
        if self._spool:
            self._spool.close()
            self._spool = None

    def _begin(self) -> None:
        self._spool = TemporaryFile(dir=self._folder)  # noqa: SIM115  closed when the part is
        self._size, self._media_type, self._name, self._value = 0, DICOM, b"", b""

    def _header_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        if self._name.strip().lower() == b"content-type":
            self._media_type = parse_options_header(self._value)[0].decode("latin-1")
        self._name = self._value = b""

    def _data(self, data: bytes, start: int, end: int) -> None:
        self._size += end - start
        if self._size > self._largest_instance:
            raise TooLarge(f"a part is longer than {self._largest_instance >> 20} MiB, the most that is taken")
        assert self._spool
        self._spool.write(memoryview(data)[start:end])

    def _end(self) -> None:
        assert self._spool
        self._spool.seek(0)
        self.outcomes.append(self._outcome(self._spool))
        self.close()

    def _over(self) -> None:
        self._whole = True

    def _outcome(self, file: BinaryIO) -> Outcome:
        if self._media_type != DICOM:
            return Outcome(failure=FailureReason.CANNOT_UNDERSTAND)
        try:
            sent = sent_as(file, self._source)
        except Unreadable:
            return Outcome(failure=FailureReason.CANNOT_UNDERSTAND)
        instance, failure = sent.instance, self._unwanted(sent.instance)
        if failure is None:
            failure = self._kept(sent)
        return Outcome(instance.sop_class_uid, instance.sop_instance_uid, failure)

    def _unwanted(self, instance: Instance) -> FailureReason | None:
        if self._study_uid and instance.study_uid != self._study_uid:
            return FailureReason.DOES_NOT_MATCH
        if not supports(instance.sop_class_uid):
            return FailureReason.CLASS_NOT_SUPPORTED
        if not supports(instance.sop_class_uid, instance.transfer_syntax_uid):
            return FailureReason.SYNTAX_NOT_SUPPORTED
        return None

    def _kept(self, sent: Sent) -> FailureReason | None:
        try:
            self._keep(sent)
        except NoSpace:
            return FailureReason.OUT_OF_RESOURCES
        except Unreadable:
            return FailureReason.DOES_NOT_MATCH
        return None
