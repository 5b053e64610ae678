"""PLACEHOLDER, to be dropped by the merger: another branch brings the real 0002 (products)."""

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Do nothing: only the place in the chain is held."""
