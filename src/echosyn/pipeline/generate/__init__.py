"""What `generate` is made of: works for workers, the search for enough videos, and what the finished set says of itself."""
