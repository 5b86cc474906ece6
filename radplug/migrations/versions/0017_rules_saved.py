"""routing rules are saved in the page, in one table with the templates"""

import sqlalchemy as sa
from alembic import op

from radplug.records.schema import UtcDateTime

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "saved_texts",
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("text", sa.Text(), nullable=True),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "name", "version", name="pk_saved_texts"),
    )
    op.execute(
        'INSERT INTO saved_texts (kind, name, version, text, "by", at, why) '
        "SELECT 'template', name, version, text, \"by\", at, '' FROM templates"
    )
    op.drop_table("templates")


def downgrade() -> None:
    raise NotImplementedError("a newer database is not taken back: restore the backup made before the upgrade")
