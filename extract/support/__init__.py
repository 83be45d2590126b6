"""Files, folders, printing and signals: what programs need that know nothing of attention.

Nothing here loads NumPy, so that commands start at once.
"""
