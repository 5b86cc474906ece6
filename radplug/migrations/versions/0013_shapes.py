"""a destination may be sent several documents of a draft"""

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("deliveries") as table:
        table.drop_constraint("uq_deliveries_case_id_version_destination", type_="unique")
        table.create_unique_constraint(
            "uq_deliveries_case_id_version_destination_document_id",
            ["case_id", "version", "destination", "document_id"],
        )


def downgrade() -> None:
    raise NotImplementedError("a newer database is not taken back: restore the backup made before the upgrade")
