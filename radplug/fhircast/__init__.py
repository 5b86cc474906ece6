"""Reporting sessions at a FHIRcast hub: what is dictated there becomes phrases, our drafts stand there as content."""
