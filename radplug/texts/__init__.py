"""TOML that people of the hospital write: read with the line of every mistake, and two of its versions compared."""
