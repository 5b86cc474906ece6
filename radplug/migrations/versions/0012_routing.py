"""what the routing rules said of a case, and as whom we were called by whoever sent an instance"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("cases", sa.Column("routing", sa.JSON(), nullable=True))
    op.add_column("instances", sa.Column("called_ae", sa.String(length=16), nullable=False, server_default=""))


def downgrade() -> None:
    raise NotImplementedError("a newer database is not taken back: restore the backup made before the upgrade")
