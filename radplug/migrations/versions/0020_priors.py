"""earlier studies: searched for, asked for, kept, and supplied to a draft"""

import sqlalchemy as sa
from alembic import op

from radplug.records.schema import UtcDateTime

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "prior_searches",
        sa.Column("case_id", sa.String(length=32), nullable=False),
        sa.Column("until", UtcDateTime(), nullable=False),
        sa.Column("begun", sa.Boolean(), nullable=False),
        sa.Column("ring_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name=op.f("fk_prior_searches_case_id_cases")),
        sa.PrimaryKeyConstraint("case_id", name=op.f("pk_prior_searches")),
    )
    op.create_index(op.f("ix_prior_searches_ring_at"), "prior_searches", ["ring_at"])
    op.create_table(
        "priors",
        sa.Column("case_id", sa.String(length=32), nullable=False),
        sa.Column("study_uid", sa.String(length=64), nullable=False),
        sa.Column("archive", sa.String(length=40), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("taken_on", sa.Date(), nullable=True),
        sa.Column("modality", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("report", sa.Text(), nullable=False),
        sa.Column("images", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name=op.f("fk_priors_case_id_cases")),
        sa.PrimaryKeyConstraint("case_id", "study_uid", "archive", name=op.f("pk_priors")),
    )
    op.create_table(
        "prior_requests",
        sa.Column("study_uid", sa.String(length=64), nullable=False),
        sa.Column("asked_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("study_uid", name=op.f("pk_prior_requests")),
    )
    op.create_table(
        "prior_instances",
        sa.Column("study_uid", sa.String(length=64), nullable=False),
        sa.Column("series_uid", sa.String(length=64), nullable=False),
        sa.Column("sop_instance_uid", sa.String(length=64), nullable=False),
        sa.Column("file", sa.Text(), nullable=False),
        sa.Column("received_at", UtcDateTime(), nullable=False),
        sa.Column("facts", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("study_uid", "series_uid", "sop_instance_uid", name=op.f("pk_prior_instances")),
    )
    op.add_column("drafts", sa.Column("priors", sa.JSON(), nullable=True))


def downgrade() -> None:
    raise NotImplementedError("a newer database is not taken back: restore the backup made before the upgrade")
