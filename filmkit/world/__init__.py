"""The room in which all heads of a layer stand: cards, plates of keys and values, and light."""
