"""The room in which the heads, the cache and a GPU stand."""
