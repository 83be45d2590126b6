"""What a traced layer gives if it is computed otherwise: heads that share, a cache, few keys."""
