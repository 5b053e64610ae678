"""PLACEHOLDER, to be dropped by the merger: another branch brings the real 0003 (scans)."""

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Do nothing: only the place in the chain is held."""
