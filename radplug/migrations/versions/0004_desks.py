"""edited drafts"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "desks",
        sa.Column("case_id", sa.String(32), nullable=False),
        sa.Column("current", sa.Integer(), nullable=False),
        sa.Column("latest", sa.Integer(), nullable=False),
        sa.Column("ring_at", MOMENT, nullable=True),
        sa.Column("frame", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("case_id", name="pk_desks"),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name="fk_desks_case_id_cases"),
    )
    op.create_index("ix_desks_ring_at", "desks", ["ring_at"])
    op.create_table(
        "edits",
        sa.Column("case_id", sa.String(32), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("parent", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("phrases", sa.JSON(), nullable=False),
        sa.Column("struck", sa.JSON(), nullable=False),
        sa.Column("text", sa.Text(), nullable=True),
        sa.Column("refused", sa.Text(), server_default="", nullable=False),
        sa.Column("key", sa.String(64), nullable=True),
        sa.PrimaryKeyConstraint("case_id", "number", name="pk_edits"),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name="fk_edits_case_id_cases"),
        sa.UniqueConstraint("key", name="uq_edits_key"),
    )


def downgrade() -> None:
    raise NotImplementedError("a newer database is not taken back: restore the backup made before the upgrade")
