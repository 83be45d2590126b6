"""The film's scenes, a folder for each: pictures made from a trace."""
