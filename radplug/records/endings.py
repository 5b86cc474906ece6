"""Which ending of a case counts: that of the edit that is shown, else the last acceptance, for that has been sent."""

from __future__ import annotations

import sqlalchemy as sa

from radplug.desk import Ending
from radplug.records.schema import desks, endings

_of_shown = endings.alias("ending_of_shown")
_sent = endings.alias("ending_that_was_sent")

# The number of the edit that the case has ended with; null where it has not. For statements that know `desks`.
COUNTED = sa.func.coalesce(
    sa.select(_of_shown.c.edit)
    .where(_of_shown.c.case_id == desks.c.case_id, _of_shown.c.edit == desks.c.current)
    .correlate(desks)
    .scalar_subquery(),
    sa.select(sa.func.max(_sent.c.edit))
    .where(_sent.c.case_id == desks.c.case_id, _sent.c.how == Ending.ACCEPTED)
    .correlate(desks)
    .scalar_subquery(),
)
