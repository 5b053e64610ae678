"""A copy of the company's products, and when it was read as a whole."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Create the two tables; nothing that was recorded before is touched."""
    op.create_table(
        "products",
        sa.Column("id", _Id, nullable=False, comment="the API's id"),
        sa.Column("sku", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("is_archived", sa.Boolean(), nullable=False),
        sa.Column("campaign", sa.Integer(), nullable=True, comment="the campaign's id; NULL: the API names none"),
        sa.Column("data", sa.Text(), nullable=False, comment="JSON: everything that the API says about it"),
        sa.Column("seen_at", sa.Text(), nullable=False, comment="it was there at this time or later"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("products_sku", "products", ["sku"], unique=False)
    op.create_table(
        "product_pulls",
        sa.Column("id", _Id, nullable=False),
        sa.Column("seen_at", sa.Text(), nullable=False, comment="seen_at of the products that it listed"),
        sa.Column("ended_at", sa.Text(), nullable=False),
        sa.Column("archived", sa.Boolean(), nullable=False, comment="archived products were read too"),
        sa.Column("products", sa.Integer(), nullable=False),
        sa.Column("rounds", sa.Integer(), nullable=False, comment="how often the list was read until it stood still"),
        sa.Column("requests", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
