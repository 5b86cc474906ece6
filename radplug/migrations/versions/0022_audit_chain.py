"""the audit trail as a hash chain: what is there is chained as it stands"""

import sqlalchemy as sa
from alembic import op

from radplug.domain import AuditEvent
from radplug.records.audit_chain import NONE_BEFORE, digest
from radplug.records.schema import UtcDateTime

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

AT_A_TIME = 1000  # rows
audit = sa.table(
    "audit",
    *(sa.column("id", sa.Integer), sa.column("at", UtcDateTime), sa.column("event", sa.Text)),
    *(sa.column("case_id", sa.String), sa.column("actor", sa.Text), sa.column("detail", sa.JSON)),
    *(sa.column("number", sa.Integer), sa.column("hash", sa.String)),
)


def upgrade() -> None:
    op.add_column("audit", sa.Column("number", sa.Integer(), nullable=True))
    op.add_column("audit", sa.Column("hash", sa.String(length=64), nullable=True))
    number, last = _chain(op.get_bind())
    with op.batch_alter_table("audit") as batch:
        batch.alter_column("number", existing_type=sa.Integer(), nullable=False)
        batch.alter_column("hash", existing_type=sa.String(length=64), nullable=False)
    op.create_index(op.f("ix_audit_number"), "audit", ["number"], unique=True)
    head = op.create_table(
        "audit_head",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_head")),
    )
    op.bulk_insert(head, [{"id": 1, "number": number, "hash": last}])


def _chain(connection: sa.Connection) -> tuple[int, str]:
    """Number and chain all rows; number and hash of the last."""
    number, last, last_id = 0, NONE_BEFORE, 0
    columns = (audit.c.id, audit.c.at, audit.c.event, audit.c.case_id, audit.c.actor, audit.c.detail)
    update = sa.update(audit).where(audit.c.id == sa.bindparam("row"))
    update = update.values(number=sa.bindparam("nth"), hash=sa.bindparam("sum"))
    while True:
        some = sa.select(*columns).where(audit.c.id > last_id).order_by(audit.c.id).limit(AT_A_TIME)
        chained = []
        for row in connection.execute(some).all():
            number, last_id = number + 1, row.id
            said = AuditEvent(row.at, row.event, row.case_id, row.actor, row.detail)
            last = digest(number, said, last)
            chained.append({"row": row.id, "nth": number, "sum": last})
        if not chained:
            return number, last
        connection.execute(update, chained)


def downgrade() -> None:
    raise NotImplementedError("a newer database is not taken back: restore the backup made before the upgrade")
