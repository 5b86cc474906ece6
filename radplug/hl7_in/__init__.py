"""HL7 messages from other systems: read as notices, acted upon once, and answered."""
