"""The DICOM Conformance Statement and the HL7 statement of a site, written from its settings and from the code.

    settings ──► services, objects ──► dicom_statement ──┐
        │                                                ├──► markdown
        └──────► messages ───────────► hl7_statement ────┘

A new DICOM service is an entry in `services.SERVICES`, a new HL7 message one in `messages.RECEIVED`; nothing else
changes. What the listener takes, what is proposed, made and sent is read off the code that does it.
"""
