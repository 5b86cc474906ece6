"""people and sessions that the hospital's OpenID provider vouches for"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("accounts", sa.Column("subject", sa.Text()))
    op.add_column("sessions", sa.Column("id_token", sa.Text()))


def downgrade() -> None:
    raise NotImplementedError("a newer database is not taken back: restore the backup made before the upgrade")
