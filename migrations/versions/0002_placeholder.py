"""PLACEHOLDER, to be dropped at the merge: 0002 is the migration of the products, made in another branch."""

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Do nothing: this file only holds the place."""
