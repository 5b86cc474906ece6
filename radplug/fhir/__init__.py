"""Drafts as FHIR R4 resources: made, checked, and pushed to a server; and what a FHIRcast hub says, read."""
