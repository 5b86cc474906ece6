"""what others announce of a study, and why a study counts as complete"""

import sqlalchemy as sa
from alembic import op

from radplug.records.schema import UtcDateTime

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("cases", sa.Column("complete_because", sa.String(length=16)))
    op.add_column("cases", sa.Column("lacks", sa.Text(), nullable=False, server_default=""))
    op.create_table(
        "signals",
        sa.Column("uid", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=4), nullable=False),
        sa.Column("progress", sa.String(length=16), nullable=False),
        sa.Column("calling_ae", sa.String(length=16), nullable=False),
        sa.Column("received_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("uid", name=op.f("pk_signals")),
    )
    op.create_index(op.f("ix_signals_received_at"), "signals", ["received_at"])
    for table, column in (("signal_studies", "study_uid"), ("announced_images", "sop_instance_uid")):
        op.create_table(
            table,
            sa.Column("signal_uid", sa.String(length=64), nullable=False),
            sa.Column(column, sa.String(length=64), nullable=False),
            sa.ForeignKeyConstraint(["signal_uid"], ["signals.uid"], name=op.f(f"fk_{table}_signal_uid_signals")),
            sa.PrimaryKeyConstraint("signal_uid", column, name=op.f(f"pk_{table}")),
        )
        op.create_index(op.f(f"ix_{table}_{column}"), table, [column])


def downgrade() -> None:
    raise NotImplementedError("a newer database is not taken back: restore the backup made before the upgrade")
