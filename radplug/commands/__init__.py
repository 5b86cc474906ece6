"""The commands of `radplug`, each a few lines: what it does lies in the modules that it names."""
