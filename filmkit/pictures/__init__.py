"""Pictures as mosaics of named parts, and how one becomes the next."""
