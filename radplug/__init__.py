"""The service: a study in, a draft out. Start reading at `radplug.pipeline`."""

__version__ = "0.1.0"
