"""The report templates that come along, and the site's own: TOML files, documented in docs/templates.md."""

from radplug.templates.choosing import choose
from radplug.templates.files import TemplateFile, read_all
from radplug.templates.reading import BadTemplate, read

__all__ = ["BadTemplate", "TemplateFile", "choose", "read", "read_all"]
