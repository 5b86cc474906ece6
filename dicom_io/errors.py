"""What can go wrong with DICOM.

DicomError
├── Unreadable    the bytes are not a data set that we can identify or decode
├── Refused       we choose not to render or send it, and the text says why
├── NoSpace       we cannot keep it now: the sender should try again later
├── Rejected      a peer's final no: ours to fix, never retried
├── Unavailable   a peer that may answer later: try again
└── UnusableCertificate   no TLS with these files: try again once they are mended
"""


class DicomError(Exception):
    """Its text says what was found, what was wanted and what to do; it never holds patient data.

    `comment` is what a peer wrote beside its answer. Nobody knows what it holds: show it, but log it never.
    """

    def __init__(self, text: str, *, comment: str = "") -> None:
        super().__init__(text)
        self.comment = comment


class Unreadable(DicomError):
    """The bytes do not decode, or lack what identifies them."""


class Refused(DicomError):
    """It decodes, but must not be used as asked."""


class NoSpace(DicomError):
    """There is no room to keep it until somebody makes some."""


class Rejected(DicomError):
    """The peer said no for good: sending the same again cannot help."""


class Unavailable(DicomError):
    """The peer did not answer, or said that it may take it later."""


class UnusableCertificate(DicomError):
    """A certificate or key that is missing, damaged, out of time, or another's."""
