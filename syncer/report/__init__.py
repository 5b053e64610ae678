"""What people and scripts see: summaries, JSON documents, result files, progress."""
