"""a report that has been sent is revised when its patient's data change"""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("cases", sa.Column("revise_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index("ix_cases_revise_at", "cases", ["revise_at"])
    op.add_column("drafts", sa.Column("revises", sa.Integer(), nullable=False, server_default="0"))


def downgrade() -> None:
    raise NotImplementedError("a newer database is not taken back: restore the backup made before the upgrade")
