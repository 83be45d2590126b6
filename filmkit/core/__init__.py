"""The stage, its camera, and what every picture is drawn with."""
