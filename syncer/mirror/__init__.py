"""What a server is known to hold, field by field: canonical texts, pictures, and how they change. Pure."""
