"""What can go wrong with HL7.

Hl7Error
├── Malformed     the bytes are not a message that we can read, or would not be a valid one
│   └── BadField  and it is known which field is to blame
├── Rejected      AE or CE: the receiver will not take this message, ours to fix, never retried
└── Unavailable   AR or CR, no answer, or a foreign answer: send the same message again later
    └── NoTls     and it is because of TLS
"""


class Hl7Error(Exception):
    """Its text says what was found, what was wanted and what to do; it never holds a field's value."""


class Malformed(Hl7Error):
    """Not a readable, or not a valid, message."""


class BadField(Malformed):
    """A field that cannot be used; `code` says why (table 0357), and a receiver's answer says all of it."""

    def __init__(self, segment: str, field: int, code: str, what: str) -> None:
        super().__init__(f"{segment}-{field} {what}")
        self.segment, self.field, self.code = segment, field, code


class Rejected(Hl7Error):
    """The receiver said no for good (HL7 2.5.1 chapter 2.9.2.2: AE, CE)."""


class Unavailable(Hl7Error):
    """No acknowledgement of this message yet (AR, CR, time-out, closed connection, another message's answer)."""


class NoTls(Unavailable):
    """A peer and we cannot agree on TLS; `reason` is what went wrong in the handshake."""

    def __init__(self, where: str, reason: OSError) -> None:
        super().__init__(f"{where}: no TLS with it")
        self.reason = reason
