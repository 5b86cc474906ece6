"""accepted and discarded drafts, and who has a case open"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.add_column("drafts", sa.Column("title", sa.JSON(), nullable=True))
    op.add_column("drafts", sa.Column("accepted_by", sa.Text(), server_default="", nullable=False))
    op.add_column("drafts", sa.Column("offered", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.create_table(
        "endings",
        sa.Column("case_id", sa.String(32), nullable=False),
        sa.Column("edit", sa.Integer(), nullable=False),
        sa.Column("how", sa.String(16), nullable=False),
        sa.Column("reason", sa.String(32), server_default="", nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("case_id", "edit", name="pk_endings"),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name="fk_endings_case_id_cases"),
    )
    op.create_index("ix_endings_at", "endings", ["at"])
    op.create_table(
        "readers",
        sa.Column("case_id", sa.String(32), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("since", MOMENT, nullable=False),
        sa.Column("seen_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("case_id", "name", name="pk_readers"),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name="fk_readers_case_id_cases"),
    )


def downgrade() -> None:
    raise NotImplementedError("a newer database is not taken back: restore the backup made before the upgrade")
