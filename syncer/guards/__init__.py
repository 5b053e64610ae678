"""What looks like a bad export, and what looks like a damaged key: decided from columns alone. Pure."""
