"""The answer of the film: four ways to remember, what each costs, and the word that follows."""
