"""What contradicts what: the report a dictated phrase, or the images the phrase."""
