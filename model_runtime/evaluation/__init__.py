"""How right a draft is: facts read from its text, and scores on phantoms whose facts are known."""
