"""What writes the pages and pictures of the documentation."""
