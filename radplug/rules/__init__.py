"""Routing rules: how a study is drafted, or that it is not. TOML, documented in docs/rules.md."""

from radplug.rules.deciding import Answer, ask, decide
from radplug.rules.reading import Site
from radplug.rules.router import Router
from radplug.rules.rule import Rule
from radplug.rules.saved import RulesText, read_file
from radplug.rules.study import Study

__all__ = ["Answer", "Router", "Rule", "RulesText", "Site", "Study", "ask", "decide", "read_file"]
