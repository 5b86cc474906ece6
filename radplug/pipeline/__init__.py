"""START HERE: the way of a study through the house, one plain function for each stage, in order.

    receive ──► close ──► draft ──► deliver
    listener    clock     model     delivery
                 │        worker    worker
                 │         ▲
                 │         redraft, accept: for whoever has the case open; revise: for whose patient's data change
                 └─► compare: earlier studies, for which the draft waits
                     delivery worker

Every stage can be done again: what it decides stands in rows, and a stage that finds its work done, or taken by
another, does nothing. What the stages ask of the house's parts stands in `parts`.
"""

from radplug.pipeline.committing import take_commitment
from radplug.pipeline.comparing import compare
from radplug.pipeline.delivering import deliver
from radplug.pipeline.drafting import draft, draft_at_once
from radplug.pipeline.editing import accept, redraft
from radplug.pipeline.receiving import close, receive
from radplug.pipeline.revising import revise

__all__ = [
    "accept",
    "close",
    "compare",
    "deliver",
    "draft",
    "draft_at_once",
    "receive",
    "redraft",
    "revise",
    "take_commitment",
]
