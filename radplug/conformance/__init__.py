"""The DICOM Conformance Statement and the HL7 statement of a site, written from its settings and from the code.

    settings ──► queries, web_services ──► services, objects ──► dicom_statement ──┐
        │                                                                          ├──► markdown
        └──────► messages, fhir_statement ─────────────────────► hl7_statement ────┘

A new DICOM service is a function that `services.SERVICES` names, a new HL7 message an entry in `messages.RECEIVED`;
nothing else changes. What the listener takes, what is proposed, made and sent is read off the code that does it.
"""
