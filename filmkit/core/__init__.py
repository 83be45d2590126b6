"""The base of scenes, the camera, and what every picture needs: heatmaps, text, themes."""
