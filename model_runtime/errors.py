"""What can go wrong while drafting.

DraftingError
├── AnchorDoesNotFit   the canvas has no room for what was dictated
├── AnchorRefused      the phrase cannot be laid on a canvas at all (empty, or its section is not in the template)
├── AnchorMoved        a draft in which an anchor is not where and what it was: never shown
├── Cancelled          the draft was stopped, since a newer one is wanted
├── UnusableCheckpoint a directory that is not a whole, loadable checkpoint
└── UnusableAdapter    a directory that is not a LoRA adapter for this checkpoint
"""


class DraftingError(Exception):
    """Its text says what was found, what was wanted and what to do; it quotes no dictated text."""


class AnchorDoesNotFit(DraftingError):
    """Dictated phrases and the template need more tokens than the section's slot has."""


class AnchorRefused(DraftingError):
    """The phrase cannot stand on this template."""


class AnchorMoved(DraftingError):
    """After denoising, an anchor's token ids or bytes were not the dictated ones."""


class Cancelled(DraftingError):
    """The caller stopped the draft."""


class UnusableCheckpoint(DraftingError):
    """The directory lacks something that a checkpoint must have."""


class UnusableAdapter(DraftingError):
    """The directory is not an adapter, or not one for these base weights."""
