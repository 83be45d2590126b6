"""What sets up an environment, and writes which versions it has."""
