"""The other side of the cable: a simulated PACS, reporting system and study, for the demo and for sign-off."""
