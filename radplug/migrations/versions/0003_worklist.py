"""the worklist: priorities, the least sure sentence of a draft, who may sign in"""

import json

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.add_column("cases", sa.Column("priority", sa.SmallInteger(), server_default="2", nullable=False))
    op.create_index("ix_cases_last_received_at", "cases", ["last_received_at"])
    op.create_index("ix_cases_worklist", "cases", ["priority", sa.text("last_received_at DESC"), "id"])
    with op.batch_alter_table("drafts") as table:
        table.alter_column("text", type_=sa.Text(), existing_nullable=False, postgresql_using='"text"::text')
        table.add_column(sa.Column("lowest", sa.Float()))
    _fill_lowest()
    op.create_table(
        "accounts",
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("password", sa.Text(), nullable=False),
        sa.Column("made_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_accounts"),
    )
    op.create_table(
        "sessions",
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("account", sa.String(64), nullable=False),
        sa.Column("begun_at", MOMENT, nullable=False),
        sa.Column("seen_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_sessions"),
        sa.ForeignKeyConstraint(["account"], ["accounts.name"], name="fk_sessions_account_accounts"),
    )
    op.create_index("ix_sessions_account", "sessions", ["account"])
    op.create_table(
        "links",
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("account", sa.String(64), nullable=False),
        sa.Column("until", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_links"),
        sa.ForeignKeyConstraint(["account"], ["accounts.name"], name="fk_links_account_accounts"),
    )


def _fill_lowest() -> None:
    """Of the drafts that are there already."""
    drafts = sa.table("drafts", *map(sa.column, ("case_id", "version", "text", "lowest")))
    connection = op.get_bind()
    for row in connection.execute(sa.select(drafts.c.case_id, drafts.c.version, drafts.c.text)).all():
        spans = [span for section in json.loads(row.text)["sections"] for span in section["spans"]]
        lowest = min((s["confidence"] for s in spans if s["confidence"] is not None), default=None)
        this = (drafts.c.case_id == row.case_id, drafts.c.version == row.version)
        connection.execute(sa.update(drafts).where(*this).values(lowest=lowest))


def downgrade() -> None:
    raise NotImplementedError("a newer database is not taken back: restore the backup made before the upgrade")
