"""The report templates that come along, and the site's own: TOML, documented in docs/templates.md."""

from radplug.templates.choosing import choose, purpose
from radplug.templates.files import TemplateFile, read, read_all
from radplug.templates.saved import InUse, in_use

__all__ = [
    "InUse",
    "TemplateFile",
    "choose",
    "in_use",
    "purpose",
    "read",
    "read_all",
]
